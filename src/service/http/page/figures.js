// --- Figures: jobs, memory, load of devices, and the pace of the last minutes; asked for again and again.

const POLL_MS = 1500;
// A device's load is that of so long at least: over less, it jumps.
const LOAD_OVER_MS = 3000;
const DEVICES_MS = 60_000;

// The lines of the chart: what is drawn as one, and how it differs from the others beside its colour.
const LINES = [
  { name: 'queued', states: ['queued'], dash: '' },
  { name: 'succeeded', states: ['succeeded'], dash: 'd1' },
  { name: 'failed, dead', states: ['failed', 'dead'], dash: 'd2', hue: 'failed' },
  { name: 'cancelled, expired', states: ['cancelled', 'expired'], dash: 'd3', hue: 'other' },
];

let status = null;
let devices = [];
let looks = [];

async function watchFigures(on) {
  let devicesAt = -Infinity;
  for (;;) {
    if (!document.hidden) {
      try {
        status = await jsonOf('/v1/status');
        if (performance.now() - devicesAt > DEVICES_MS || isNewDevice()) {
          const found = await jsonOf('/v1/devices');
          devices = found.devices;
          showDiagnosis(found.diagnosis);
          devicesAt = performance.now();
        }
        looks = [...looks.filter((look) => performance.now() - look.at < 2 * LOAD_OVER_MS), { at: performance.now(), devices: status.devices }];
        showFigures();
        on.status(status);
      } catch (error) {
        on.failed(error);
      }
    }
    await delay(POLL_MS);
  }
}

const isNewDevice = () => status.devices.some((load) => !devices.some((device) => device.device === load.device));

function showDiagnosis(diagnosis) {
  byId('diagnosis').hidden = !diagnosis;
  setText(byId('diagnosis'), visibleLines(diagnosis || ''));
}

// Names and their values; those that are there already only change their text.
function showFacts(list, facts) {
  if (list.children.length !== facts.length) {
    list.replaceChildren(...facts.map(() => make('div', {}, make('dt'), make('dd'))));
  }
  facts.forEach(([name, value, isBad], at) => {
    const [dt, dd] = list.children[at].children;
    setText(dt, name);
    setText(dd, value);
    dd.classList.toggle('bad', Boolean(isBad));
  });
}

function showFigures() {
  const { jobs, since_start: since, memory } = status;
  const ended = since.ended;
  showFacts(byId('now'), [
    ['queued', whole(jobs.queued), jobs.queued >= jobs.queue_max],
    ['running', whole(jobs.running)],
    ['to be retried', whole(jobs.retry_wait)],
    ['with the engine', whole(jobs.with_engine)],
    ['accepted', whole(since.accepted)],
    ['not taken in', whole(since.refused)],
    ['succeeded', whole(ended.succeeded)],
    ['failed', whole(ended.failed), ended.failed > 0],
    ['cancelled', whole(ended.cancelled)],
    ['expired', whole(ended.expired)],
    ['dead', whole(ended.dead), ended.dead > 0],
    ['ended and kept', whole(jobs.kept)],
  ]);
  setText(byId('about'), `version ${status.version}, up for ${timeText(status.uptime_ms)}${status.is_draining ? ', about to end: it takes no jobs in' : ''}`);
  byId('about').classList.toggle('bad', status.is_draining);
  showMemory(memory);
  showDevices();
  showPace();
}

function showMeter(bar, part) {
  bar.style.width = `${Math.min(Math.max(part, 0), 1) * 100}%`;
}

function showMemory({ reserved_bytes: reserved, limit_bytes: limit, resident_bytes: resident }) {
  const known = limit === null ? 'no limit is known' : `${bytesText(limit)} (${Math.round(reserved / Math.max(limit, 1) * 100)} %)`;
  setText(byId('memory-words'), `Jobs have reserved ${bytesText(reserved)} of ${known}`);
  showMeter(byId('memory-bar'), limit === null ? 0 : reserved / Math.max(limit, 1));
  // A device that is busy is as it should be; jobs that find no memory wait.
  byId('memory-bar').classList.toggle('full', limit !== null && reserved > 0.95 * limit);
  setText(byId('resident'), resident === null ? '' : `The process holds ${bytesText(resident)}; programs that it runs not counted.`);
}

// The part of a device's lanes that worked in the last seconds.
function loadOf(id) {
  const now = looks.at(-1);
  const before = looks.findLast((look) => now.at - look.at >= LOAD_OVER_MS) || looks[0];
  const [to, from] = [now, before].map((look) => look.devices.find((load) => load.device === id));
  if (!to || !from || now === before) return to ? to.busy_lanes / to.lanes : 0;
  return Math.min((to.busy_ms - from.busy_ms) / ((now.at - before.at) * to.lanes), 1);
}

function showDevices() {
  const list = byId('devices');
  for (const device of devices) {
    let item = [...list.children].find((item) => item.dataset.device === device.device);
    if (!item) {
      item = make('li', { 'data-device': device.device }, make('div', { class: 'name' }), make('div', { class: 'note words' }),
        make('div', { class: 'meter', role: 'meter', 'aria-valuemin': '0', 'aria-valuemax': '100' }, make('i')), make('div', { class: 'note load' }));
      list.append(item);
    }
    const [name, words, meter, note] = item.children;
    const load = status.devices.find((load) => load.device === device.device);
    const aside = load?.set_aside ? `set aside: ${load.set_aside}` : device.unusable;
    const runs = device.model_samples === 0 ? 'nothing measured yet' : `${counted(device.model_samples, 'run', 'runs')} remembered`;
    const size = device.memory_bytes ? `, ${bytesText(device.memory_bytes)}` : '';
    setText(name, `${device.device}  ${visible(device.name)}`);
    setText(words, aside ? visible(`not used: ${aside}`) : visible(`${device.kind}, ${device.driver}${size}; ${runs}`));
    words.classList.toggle('bad', Boolean(aside));
    meter.hidden = note.hidden = !load || Boolean(aside);
    if (!load) continue;
    const part = loadOf(device.device);
    const percent = Math.round(part * 100);
    showMeter(meter.firstChild, part);
    meter.setAttribute('aria-valuenow', String(percent));
    meter.setAttribute('aria-label', `load of ${device.device}`);
    const lanes = load.lanes === 1 ? (load.busy_lanes ? 'busy just now' : 'idle just now') : `${load.busy_lanes} of ${load.lanes} lanes busy just now`;
    setText(note, `${percent} % busy, ${lanes}`);
  }
}

// --- The chart

const SVG = 'http://www.w3.org/2000/svg';

function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  if (text !== undefined) element.textContent = text;
  return element;
}

// The least of 1, 2, 5 times a power of ten that is no less.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((digit) => digit * power).find((tick) => tick >= value * 0.9999);
}

const rateText = (rate) => rate >= 1e4 ? `${digits3(rate / 1e3)} k` : rate >= 100 ? whole(Math.round(rate)) : String(+rate.toFixed(2));
const ratesOf = (line) => {
  const { step_ms: step, states } = status.pace;
  return states.queued.map((_, at) => line.states.reduce((sum, state) => sum + states[state][at], 0) / (step / 1e3));
};

function showPace() {
  const svg = byId('chart');
  const [width, height] = [svg.clientWidth || 320, svg.clientHeight || 176];
  const [left, right, top, bottom] = [46, 8, 10, 22];
  const steps = 60;
  const rates = LINES.map(ratesOf);
  const max = roundUp(Math.max(0.4, ...rates.flat()));
  const x = (step) => left + (width - left - right) * step / steps;
  const y = (rate) => height - bottom - (height - top - bottom) * rate / max;
  const parts = [];
  for (const part of [0, 0.5, 1]) {
    parts.push(draw('line', { class: 'grid', x1: left, x2: width - right, y1: y(max * part), y2: y(max * part) }));
    parts.push(draw('text', { class: 'soft', x: left - 6, y: y(max * part) + 4, 'text-anchor': 'end' }, rateText(max * part)));
  }
  for (let minute = 0; minute <= 5; minute += 1) {
    const anchor = minute === 0 ? 'end' : 'middle';
    parts.push(draw('text', { class: 'soft', x: x(steps - minute * 12), y: height - 6, 'text-anchor': anchor }, minute === 0 ? 'now' : `−${minute} min`));
  }
  LINES.forEach((line, at) => {
    const first = steps - rates[at].length;
    const points = rates[at].map((rate, step) => `${step === 0 ? 'M' : 'L'}${x(first + step).toFixed(1)} ${y(rate).toFixed(1)}H${x(first + step + 1).toFixed(1)}`);
    parts.push(draw('path', { class: `line s-${line.hue || line.name} ${line.dash}`, d: points.join('') || 'M0 0' }));
  });
  const about = draw('desc', { id: 'chart-about' }, LINES.map((line, at) => `${line.name} ${rateText(rates[at].at(-1) || 0)}`).join('; '));
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.replaceChildren(about, ...parts);
  const legend = byId('chart-legend');
  if (!legend.children.length) legend.append(...LINES.map((line) => make('li', {}, keyOf(line), make('span'))));
  LINES.forEach((line, at) => setText(legend.children[at].lastChild, `${line.name} ${rateText(rates[at].at(-1) || 0)}`));
  if (byId('chart-data').open) showPaceData(rates);
}

function keyOf(line) {
  const key = draw('svg', { class: 'chart', viewBox: '0 0 30 12', 'aria-hidden': 'true' });
  key.append(draw('path', { class: `line s-${line.hue || line.name} ${line.dash}`, d: 'M0 6H30' }));
  return key;
}

function showPaceData(rates) {
  const step = status.pace.step_ms;
  const now = Date.now();
  const count = rates[0].length;
  const rows = rates[0].map((_, at) => make('tr', {},
    make('td', {}, new Date(Math.floor(now / step - (count - 1 - at)) * step).toLocaleTimeString()),
    ...rates.map((line) => make('td', { class: 'number' }, rateText(line[at])))));
  byId('chart-data').querySelector('tbody').replaceChildren(...rows.reverse());
}

byId('chart-data').addEventListener('toggle', () => status && showPace());
