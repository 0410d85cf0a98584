// --- What begins when the page is there.

function showLive(kind, text) {
  byId('live').className = kind;
  setText(byId('live'), text);
  // What is shown then is how things were.
  document.body.classList.toggle('stale', kind === 'off');
}

function openNamed() {
  const id = new URLSearchParams(location.hash.slice(1)).get('job');
  if (id && id !== shown.id) openJob(id);
  else if (!id && shown.id) closeJob();
}

watchFigures({
  status(figures) {
    clockAhead = figures.now_ms - Date.now();
    showKinds(figures.kinds);
  },
  // That the connection is lost is shown by the events; what is left are answers that are none.
  failed(error) {
    if (error instanceof Refused) trouble(`The figures cannot be had: ${error.message}`);
  },
});

listen({
  job(event) {
    jobHappened(event);
    shownJobHappened(event);
  },
  // More happened than is told of one by one: what is shown may be out of date.
  missed() {
    if (!list.isHeld) loadJobsSoon();
    shownJobMayHaveChanged();
  },
  // What happened between the answer and the begin of the events is told by neither.
  connected() {
    showLive('on', 'live');
    loadJobs();
    shownJobMayHaveChanged();
  },
  lost() {
    showLive('off', 'connection lost, trying again');
  },
});

loadJobs();
openNamed();
window.addEventListener('popstate', openNamed);
window.addEventListener('hashchange', openNamed);
setInterval(() => {
  list.jobs.forEach((job) => {
    const row = list.rows.get(job.id);
    if (row) showTimes(row, job);
  });
}, 1000);
