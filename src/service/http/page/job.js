// --- One job: why it ran where it ran, where its time went, what came of it.

const PHASES = [['queued', 'queued'], ['setup', 'set-up'], ['upload', 'upload'], ['compute', 'compute'], ['readback', 'readback']];
// So much of a result is shown; all of it can be saved.
const RESULT_MAX = 4000;

const shown = { id: null, job: null, asked: 0, timer: 0 };

async function openJob(id) {
  const opener = list.rows.get(shown.id);
  opener?.classList.remove('chosen');
  Object.assign(shown, { id, job: null });
  list.rows.get(id)?.classList.add('chosen');
  if (location.hash !== `#job=${encodeURIComponent(id)}`) history.pushState(null, '', `#job=${encodeURIComponent(id)}`);
  byId('job').hidden = false;
  setText(byId('job-heading'), `Job ${visible(shorten(id, 80))}`);
  byId('job-state').replaceChildren();
  byId('job-body').replaceChildren(make('p', { class: 'note' }, 'asking'));
  byId('job-cancel').hidden = byId('job-retry').hidden = true;
  byId('job').scrollIntoView({ block: 'start' });
  byId('job-heading').focus({ preventScroll: true });
  await loadJob();
}

async function loadJob() {
  const { id } = shown;
  clearTimeout(shown.timer);
  shown.timer = 0;
  if (id === null) return;
  shown.asked += 1;
  const asked = shown.asked;
  try {
    const text = await textOf(`/v1/jobs/${encodeURIComponent(id)}`);
    if (asked !== shown.asked) return;
    shown.job = JSON.parse(text);
    showJob(members(text));
  } catch (error) {
    if (asked !== shown.asked) return;
    byId('job-body').replaceChildren(make('p', { class: 'bad' }, visible(error.message)));
  }
}

// What is written is the job as it is now, so that it is asked for again whenever something happens to it.
function shownJobHappened({ id }) {
  if (id === shown.id) loadJob();
}

// More happened than is told of.
function shownJobMayHaveChanged() {
  if (shown.id && !shown.timer) shown.timer = setTimeout(loadJob, REFRESH_MS);
}

function closeJob() {
  const row = list.rows.get(shown.id);
  row?.classList.remove('chosen');
  Object.assign(shown, { id: null, job: null });
  shown.asked += 1;
  byId('job').hidden = true;
  if (location.hash) history.pushState(null, '', location.pathname);
  (row?.querySelector('button.link') || byId('jobs-heading')).focus();
}

function showJob(raw) {
  const { job } = shown;
  byId('job-state').replaceChildren(stateBadge(job.state));
  byId('job-cancel').hidden = !canCancel(job);
  byId('job-retry').hidden = !canRetry(job);
  const parts = [factsOf(job)];
  if (raw.has('error')) parts.push(...errorParts(job.error, raw.get('error')));
  if (raw.has('result') || job.result_bytes) parts.push(...resultParts(job, raw.get('result')));
  if (raw.has('metadata')) parts.push(make('h3', {}, 'Metadata'), jsonBlock(raw.get('metadata'), RESULT_MAX));
  if (job.plan) parts.push(...planParts(job));
  if (job.timings_ms) parts.push(...phaseParts(job.timings_ms));
  byId('job-body').replaceChildren(...parts);
}

function factsOf(job) {
  const facts = [['label', job.label], ['kind', job.kind], ['ran on', job.device], ['took', tookText(job)], ['accepted', dateText(job.accepted_ms)]];
  if (job.started_ms) facts.push(['began', dateText(job.started_ms)]);
  if (job.ended_ms) facts.push(['ended', dateText(job.ended_ms)]);
  if (job.deadline_ms) facts.push(['has to end by', dateText(job.deadline_ms)]);
  if (job.retry_ms) facts.push(['failed of', job.cause], ['is tried again', dateText(job.retry_ms)]);
  facts.push(['attempts', String(job.attempts)]);
  if (job.priority) facts.push(['priority', String(job.priority)]);
  const element = make('dl', { class: 'facts' });
  showFacts(element, facts.filter(([, value]) => value).map(([name, value]) => [name, visible(value)]));
  element.querySelectorAll('dd').forEach((dd) => dd.setAttribute('dir', 'auto'));
  return element;
}

function jsonBlock(text, max) {
  const shownText = text.length > 64 * max ? text : indented(text);
  return make('pre', { tabindex: '0' }, visibleLines(shorten(shownText, max)));
}

function errorParts(error, raw) {
  const parts = [error.cause === 'cancelled' ? make('h3', {}, 'Cancelled') : make('h3', { class: 'bad' }, `Failed: ${visible(error.cause)}`), make('p', {}, visibleLines(error.message))];
  // What a program wrote is read best as it wrote it.
  for (const [name, value] of Object.entries(error)) {
    if (typeof value === 'string' && value && !['cause', 'message'].includes(name)) {
      parts.push(make('h3', {}, visible(name)), make('pre', { tabindex: '0' }, visibleLines(shorten(value.trimEnd(), RESULT_MAX))));
    }
  }
  const others = [...members(raw)].filter(([name]) => typeof error[name] !== 'string');
  if (others.length) {
    const facts = make('dl', { class: 'facts' });
    showFacts(facts, others.map(([name, value]) => [visible(name), visible(shorten(value, 300))]));
    parts.push(facts);
  }
  return parts;
}

function resultParts(job, raw) {
  const parts = [make('h3', {}, 'Result')];
  if (raw === undefined) {
    parts.push(make('p', { class: 'note' }, `It is long: ${bytesText(job.result_bytes)}.`));
  } else {
    parts.push(jsonBlock(raw, RESULT_MAX));
    if (raw.length > RESULT_MAX) parts.push(make('p', { class: 'note' }, `That was the begin of ${counted(raw.length, 'character', 'characters')}.`));
  }
  parts.push(make('button', { type: 'button', click: () => saveResult(job.id) }, 'Save the result'));
  return parts;
}

// A link could show no token.
async function saveResult(id) {
  try {
    const text = await textOf(`/v1/jobs/${encodeURIComponent(id)}/result`, { answerMs: 600_000 });
    const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    make('a', { href: address, download: `${id}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  } catch (error) {
    trouble(`${id}: ${error.message}`);
  }
}

// --- Why there

const choiceText = ({ device, threads }) => threads ? `${device}, ${counted(threads, 'thread', 'threads')}` : device;

function planParts({ plan, timings_ms: times, state }) {
  const parts = [make('h3', {}, 'Why there'), make('p', {}, ...coded(plan.reason))];
  const predicted = plan.candidates.filter((candidate) => candidate.predicted_ms !== null);
  // What a plan predicts: neither waiting nor opening the input.
  const achieved = state === 'succeeded' && times ? Math.max(times.total - times.queued - (times.opening || 0), 0) : null;
  if (plan.candidates.length) {
    const bounds = predicted.flatMap(({ low_ms: low, high_ms: high }) => [low, high]).concat(achieved || []).filter((ms) => ms > 0);
    const [least, most] = [Math.log(Math.min(...bounds)), Math.log(Math.max(...bounds))];
    const place = (ms) => 2 + 96 * (most > least ? (Math.log(Math.max(ms, 1e-9)) - least) / (most - least) : 0.5);
    const rows = plan.candidates.map((candidate) => candidateRow(candidate, plan.choice, achieved, place));
    const body = make('tbody', {}, ...rows);
    const head = ['candidate', 'predicted', 'between', 'the same, on a log scale', 'note'];
    const caption = achieved === null ? 'What was predicted' : `What was predicted; it took ${timeText(achieved)}, the dashed line`;
    parts.push(make('div', { class: 'wide', tabindex: '0', role: 'group', 'aria-label': 'Candidates' },
      make('table', { id: 'candidates' }, make('caption', {}, caption),
        make('thead', {}, make('tr', {}, ...head.map((name) => make('th', { scope: 'col' }, name)))), body)));
  }
  if (plan.crossover) {
    const side = plan.crossover.below ? 'up to' : 'from';
    parts.push(make('p', { class: 'note' }, visible(`Crossover: ${side} ${counted(plan.crossover.units, 'unit', 'units')}, ${choiceText(plan.crossover)} wins; this job has ${whole(plan.work?.units ?? 0)}.`)));
  }
  return parts;
}

function candidateRow(candidate, choice, achieved, place) {
  const name = choiceText(candidate);
  const isTaken = name === choice;
  const row = make('tr', { class: isTaken ? 'taken' : null }, make('th', { scope: 'row' }, visible(name)));
  if (candidate.predicted_ms === null) {
    row.append(make('td', {}, 'none'), make('td'), make('td', { class: 'bar' }));
  } else {
    const { predicted_ms: predicted, low_ms: low, high_ms: high } = candidate;
    const range = make('div', { class: 'range', 'aria-hidden': 'true' }, make('i'), make('b'));
    const [bar, point] = range.children;
    bar.style.left = `${place(low)}%`;
    bar.style.width = `${place(high) - place(low)}%`;
    point.style.left = `${place(predicted)}%`;
    if (isTaken && achieved !== null) {
      const line = make('u');
      line.style.left = `${place(achieved)}%`;
      range.append(line);
    }
    row.append(make('td', {}, timeText(predicted)), make('td', {}, `${timeText(low)} to ${timeText(high)}`), make('td', { class: 'bar' }, range));
  }
  const within = [['opening devices', candidate.setup_ms], ['waiting', candidate.waiting_ms]].filter(([, ms]) => ms > 0);
  row.append(make('td', { class: 'note' }, visible([candidate.note, ...within.map(([what, ms]) => `${timeText(ms)} of it ${what}`)].filter(Boolean).join('; '))));
  return row;
}

// --- Where its time went

function phaseParts(times) {
  const took = PHASES.filter(([name]) => times[name] > 0);
  const total = took.reduce((sum, [name]) => sum + times[name], 0);
  const bar = make('div', { class: 'phases', 'aria-hidden': 'true' });
  for (const [name] of took) {
    const part = make('i', { class: `p-${name}`, title: `${name} ${timeText(times[name])}` });
    part.style.width = `${times[name] / total * 100}%`;
    bar.append(part);
  }
  const key = ([name, words]) => make('li', {}, make('b', { class: `p-${name}`, 'aria-hidden': 'true' }),
    `${words} ${timeText(times[name])} (${percentText(times[name] / total)})`);
  const parts = [make('h3', {}, `Where its time went: ${timeText(times.total)} with the engine`), bar, make('ul', { class: 'legend' }, ...took.map(key))];
  if (times.opening > 0) parts.push(make('p', { class: 'note' }, `${timeText(times.opening)} of the set-up was opening its input.`));
  return parts;
}

const percentText = (part) => part > 0 && part < 0.01 ? 'below 1 %' : `${Math.round(part * 100)} %`;

byId('job-cancel').addEventListener('click', () => cancelJob(shown.id));
byId('job-retry').addEventListener('click', () => retryJob(shown.id));
byId('job-close').addEventListener('click', closeJob);
