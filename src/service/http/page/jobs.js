// --- The list of jobs. Its first page follows what happens; what happens to a job that is shown is shown at once, on any page.

const STATES = ['queued', 'running', 'retry_wait', 'succeeded', 'failed', 'cancelled', 'expired', 'dead'];
const LIVE = new Set(['queued', 'running', 'retry_wait']);
const PAGE = 50;
// A list that changes all the time is asked for so often at most.
const REFRESH_MS = 1000;

const stateText = (state) => state.replace('_', ' ');
const canCancel = (job) => LIVE.has(job.state);
const canRetry = (job) => !LIVE.has(job.state) && job.state !== 'succeeded';

function stateBadge(state) {
  return make('span', { class: `state ${STATES.includes(state) ? state : ''}` }, stateText(state));
}

const list = { jobs: [], next: null, before: [], isHeld: false, isStale: false, isLoading: false, timer: 0, asked: 0, rows: new Map() };

const isFirstPage = () => list.before.length === 0;

async function loadJobs() {
  clearTimeout(list.timer);
  [list.timer, list.isStale, list.isLoading] = [0, false, true];
  list.asked += 1;
  const asked = list.asked;
  const query = new URLSearchParams({ limit: PAGE });
  if (byId('filter-state').value) query.set('state', byId('filter-state').value);
  if (byId('filter-kind').value) query.set('kind', byId('filter-kind').value);
  if (!isFirstPage()) query.set('after', list.before.at(-1));
  try {
    const { jobs, next } = await jsonOf(`/v1/jobs?${query}`);
    // The answer to an earlier question may come after that to a later one.
    if (asked !== list.asked) return;
    [list.jobs, list.next] = [jobs, next || null];
    showJobs();
  } catch (error) {
    if (asked !== list.asked) return;
    byId('nothing').hidden = false;
    setText(byId('nothing'), `The list cannot be had: ${visible(error.message)}`);
  }
  list.isLoading = false;
  if (list.isStale) loadJobsSoon();
}

// Never while an answer is awaited: where answers are slow, none would ever be the last.
function loadJobsSoon() {
  list.isStale = true;
  if (!list.timer && !list.isLoading) list.timer = setTimeout(loadJobs, REFRESH_MS);
}

// Has the list asked for again soon, unless it is held or another page is shown.
function jobsChanged() {
  if (list.isHeld || !isFirstPage()) showNews();
  else loadJobsSoon();
}

function showNews() {
  byId('news').hidden = false;
  setText(byId('news'), list.isHeld ? 'The list is held: newer jobs are not shown.' : 'There are newer jobs on the first page.');
}

// What happened to a job, to whoever shows it.
function jobHappened({ id, state, at_ms: at }) {
  const job = list.rows.has(id) ? list.jobs.find((job) => job.id === id) : undefined;
  // A new job, or one that comes to or goes from what is filtered by.
  if (!job || byId('filter-state').value) jobsChanged();
  if (!job) return;
  const hadEnded = !LIVE.has(job.state);
  job.state = state;
  if (state === 'running') job.started_ms = at;
  if (!LIVE.has(state)) {
    job.ended_ms = at;
    // Where it ran only the list tells.
    if (!hadEnded) jobsChanged();
  } else {
    delete job.ended_ms;
  }
  happened.add(id);
  if (!happenedTimer) happenedTimer = setTimeout(showHappened, SHOW_MS);
}

// Rows are shown together, so that thousands of events a second cost no more than a few; where many change, none is made to stand out.
const SHOW_MS = 150;
const FRESH_MAX = 5;
const happened = new Set();
let happenedTimer = 0;

function showHappened() {
  happenedTimer = 0;
  const isFew = happened.size <= FRESH_MAX;
  for (const job of list.jobs) if (happened.has(job.id)) showRow(job, isFew);
  happened.clear();
}

function showJobs() {
  const body = byId('jobs').tBodies[0];
  const wanted = new Set(list.jobs.map((job) => job.id));
  for (const [id, row] of list.rows) {
    if (wanted.has(id)) continue;
    row.remove();
    list.rows.delete(id);
  }
  list.jobs.forEach((job, at) => {
    const isNew = !list.rows.has(job.id);
    if (isNew) list.rows.set(job.id, newRow(job));
    const row = list.rows.get(job.id);
    // Rows that are where they belong are not touched, so that focus stays.
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] || null);
    showRow(job, false);
  });
  byId('news').hidden = isFirstPage() && !list.isHeld;
  if (!isFirstPage()) showNews();
  byId('newer').disabled = isFirstPage();
  byId('older').disabled = !list.next;
  setText(byId('page'), `page ${list.before.length + 1}`);
  const isFiltered = byId('filter-state').value || byId('filter-kind').value;
  byId('nothing').hidden = list.jobs.length > 0;
  setText(byId('nothing'), isFiltered ? 'No job is like that.' : 'No job yet: submit one above, or send one to /v1/jobs.');
}

function newRow(job) {
  return make('tr', { 'data-id': job.id },
    make('td', { class: 'state-cell' }),
    make('td', { class: 'id-cell' }, make('button', { type: 'button', class: 'link mono', click: () => openJob(job.id) }, job.id)),
    make('td', { class: 'label' }), make('td', { class: 'kind' }), make('td', { class: 'device' }),
    make('td', { class: 'when' }), make('td', { class: 'took number' }),
    make('td', { class: 'do' }));
}

function showRow(job, hasHappened) {
  const row = list.rows.get(job.id);
  if (!row) return;
  const [state, , label, kind, device, , , act] = row.children;
  if (row.dataset.state !== job.state) {
    row.dataset.state = job.state;
    state.replaceChildren(stateBadge(job.state));
    showAction(act, job);
    if (hasHappened) {
      row.classList.remove('fresh');
      // Asking for its place makes the browser begin the animation anew.
      void row.offsetWidth;
      row.classList.add('fresh');
    }
  }
  const text = visible(job.label || '');
  if (label.textContent !== text) label.replaceChildren(...(text ? [make('span', { title: text, dir: 'auto' }, text)] : []));
  setText(kind, visible(job.kind));
  setText(device, job.device || '');
  row.classList.toggle('chosen', job.id === shown.id);
  showTimes(row, job);
}

function showAction(cell, job) {
  const hadFocus = cell.contains(document.activeElement);
  const [verb, name] = canCancel(job) ? [cancelJob, 'Cancel'] : canRetry(job) ? [retryJob, 'Try again'] : [null, ''];
  cell.replaceChildren(...(verb ? [make('button', { type: 'button', 'aria-label': `${name}: ${job.id}`, click: () => verb(job.id) }, name)] : []));
  if (hadFocus) (cell.firstChild || cell.parentElement.querySelector('button')).focus();
}

function tookText(job) {
  if (!job.started_ms) return '';
  // Both are whole milliseconds.
  const ms = Math.max((job.ended_ms || serviceNow()) - job.started_ms, 0);
  if (ms < 1) return '< 1 ms';
  return ms < 1000 ? `${Math.round(ms)} ms` : timeText(ms);
}

function agoText(ms) {
  const seconds = Math.max(Math.round((serviceNow() - ms) / 1e3), 0);
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}

function showTimes(row, job) {
  const [when, took] = [row.children[5], row.children[6]];
  setText(when, agoText(job.accepted_ms));
  const exact = dateText(job.accepted_ms);
  if (when.title !== exact) when.title = exact;
  setText(took, tookText(job));
}

// The clock of the service, as far as its events tell; that of this machine may be another.
let clockAhead = 0;
const serviceNow = () => Date.now() + clockAhead;

function say(text) {
  byId('said').textContent = text;
}

async function change(id, what, path, options) {
  try {
    await textOf(path, options);
    say(`${id}: ${what}`);
    trouble('');
  } catch (error) {
    trouble(`${id}: ${error.message}`);
  }
}

// The state that follows comes as an event.
const cancelJob = (id) => change(id, 'is being cancelled', `/v1/jobs/${id}`, { method: 'DELETE' });
const retryJob = (id) => change(id, 'is queued again', `/v1/jobs/${id}/retry`, { method: 'POST' });

function trouble(text) {
  byId('trouble').hidden = !text;
  setText(byId('trouble'), visible(text));
}

function changeFilter() {
  list.before = [];
  loadJobs();
}

byId('filters').addEventListener('submit', (event) => event.preventDefault());
byId('filter-state').append(...STATES.map((state) => make('option', { value: state }, stateText(state))));
byId('filter-state').addEventListener('change', changeFilter);
byId('filter-kind').addEventListener('change', changeFilter);
byId('older').addEventListener('click', () => {
  // A second click, before the answer is there, means the same page.
  if (!list.next) return;
  list.before.push(list.next);
  list.next = null;
  loadJobs();
});
byId('newer').addEventListener('click', () => {
  list.before.pop();
  loadJobs();
});
byId('find').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && event.target.value.trim()) openJob(event.target.value.trim());
});
byId('freeze').addEventListener('click', () => {
  list.isHeld = !list.isHeld;
  byId('freeze').setAttribute('aria-pressed', String(list.isHeld));
  setText(byId('freeze'), list.isHeld ? 'Let the list go on' : 'Hold the list');
  byId('news').hidden = true;
  if (!list.isHeld) loadJobs();
});
