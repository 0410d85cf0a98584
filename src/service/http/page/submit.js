// --- A job by hand.

const EXAMPLES = {
  primes: { kind: 'primes', range: '0..1e8', metadata: { note: 'comes back with the outcome' } },
  stats: { kind: 'stats', values: [1, 2, 3.5, 4], quantiles: [0.5] },
  factor: { kind: 'factor', n: '1000000007000000049' },
  fibonacci: { kind: 'fibonacci', n: 1000 },
  corr: { kind: 'corr', dataset: 'name-of-a-dataset' },
  image: { kind: 'image', file: { $file: 'picture' } },
  links: { kind: 'links', file: { $file: 'page' } },
  command: { kind: 'command', argv: ['sleep', '5'], timeout: '10s' },
};

function showKinds(kinds) {
  const [filter, examples] = [byId('filter-kind'), byId('submit-kind')];
  if (filter.options.length === kinds.length + 1) return;
  const options = () => kinds.map((kind) => make('option', { value: kind }, kind));
  filter.append(...options());
  examples.replaceChildren(...options());
  showExample();
}

function showExample() {
  const kind = byId('submit-kind').value;
  byId('submit-text').value = JSON.stringify(EXAMPLES[kind] || { kind }, null, 1).replace(/\n\s*/g, ' ');
  byId('submit-error').replaceChildren();
}

async function submitJob() {
  const text = byId('submit-text').value;
  byId('submit-button').disabled = true;
  byId('submit-error').replaceChildren();
  setText(byId('submit-done'), chosen.length ? 'sending the files' : '');
  try {
    const { id } = await jsonOf('/v1/jobs', { method: 'POST', ...bodyOf(text) });
    chosen.length = 0;
    showFiles();
    byId('submit-done').replaceChildren('It is on disk as ', make('a', { href: `#job=${id}` }, id));
  } catch (error) {
    setText(byId('submit-done'), '');
    showPlace(text, error);
  }
  byId('submit-button').disabled = false;
}

// --- Files that come with it, each a part of a form by the name that the job refers to it by

// An upload may take as long as it likes.
const UPLOAD_MS = 86_400_000;

const chosen = [];

function bodyOf(text) {
  if (!chosen.length) return { body: text, headers: { 'Content-Type': 'application/json' } };
  const form = new FormData();
  form.append('job', text);
  for (const { file, name } of chosen) form.append(name.value, file, file.name);
  return { body: form, answerMs: UPLOAD_MS };
}

// What the file is called, without its ending, and unlike all others.
function partName(file) {
  const begin = file.name.replace(/(.)\.[^.]*$/, '$1') || 'file';
  const isTaken = (name) => name === 'job' || name.startsWith('$') || chosen.some((other) => other.name.value === name);
  let name = begin;
  for (let number = 2; isTaken(name); number += 1) name = `${begin.replace(/^\$+/, '')}-${number}`;
  return name;
}

function chooseFiles() {
  for (const file of byId('submit-files').files) {
    chosen.push({ file, name: make('input', { value: partName(file), maxlength: 80, required: true, spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off' }) });
  }
  // They are kept here, so that more can be chosen.
  byId('submit-files').value = '';
  showFiles();
}

// Puts the name where the job says which file is meant: over what is selected, or where the cursor is; behind the job, as its `file`.
function putIntoJob(name) {
  const field = byId('submit-text');
  const text = JSON.stringify({ $file: name });
  const [from, to, end] = [field.selectionStart, field.selectionEnd, field.value.lastIndexOf('}')];
  field.focus();
  if (end < 0 || field.value.slice(from).trim()) {
    field.setRangeText(text, from, to, 'end');
    return;
  }
  const before = field.value.slice(0, end).trimEnd();
  field.setRangeText(`${before.endsWith('{') ? ' ' : ', '}"file": ${text} `, before.length, end, 'end');
}

function showFiles() {
  byId('submit-chosen').replaceChildren(...chosen.map((entry) => {
    const { file, name } = entry;
    const remove = () => {
      chosen.splice(chosen.indexOf(entry), 1);
      showFiles();
      byId('submit-files').focus();
    };
    return make('li', {}, make('label', {}, 'Name ', name),
      make('button', { type: 'button', class: 'put', click: () => putIntoJob(name.value) }, 'Put into the job'),
      make('button', { type: 'button', click: remove, 'aria-label': `Leave out ${visible(file.name)}` }, 'Leave out'),
      make('span', { class: 'note', dir: 'auto' }, `${visible(shorten(file.name, 80))}, ${bytesText(file.size)}`));
  }));
}

// The place in a line that is so many bytes from its begin, in characters as this language counts.
function unitsIn(line, bytes) {
  let [at, length] = [0, 0];
  for (const character of line) {
    length += new TextEncoder().encode(character).length;
    if (length > bytes) break;
    at += character.length;
  }
  return at;
}

function showPlace(text, { message, line, column }) {
  const where = line ? ` (line ${line}, byte ${column})` : '';
  byId('submit-error').replaceChildren(make('p', { class: 'bad' }, ...coded(message), where));
  const lines = text.split('\n');
  if (!line || lines[line - 1] === undefined) return;
  const wrong = lines[line - 1];
  const at = unitsIn(wrong, column - 1);
  const from = Math.max(at - 60, 0);
  const mark = wrong.slice(at, at + 1) || ' ';
  byId('submit-error').append(make('pre', { class: 'place', tabindex: '0', 'aria-label': 'The place of the error' },
    (from > 0 ? '…' : '') + visible(wrong.slice(from, at)), make('mark', {}, visible(mark)), visible(wrong.slice(at + 1, at + 61)) + (wrong.length > at + 61 ? '…' : '')));
  const begin = lines.slice(0, line - 1).reduce((sum, before) => sum + before.length + 1, 0);
  byId('submit-text').focus();
  byId('submit-text').setSelectionRange(begin + at, begin + at + 1);
}

byId('submit-kind').addEventListener('change', showExample);
byId('submit-files').addEventListener('change', chooseFiles);
byId('submit-form').addEventListener('submit', (event) => {
  event.preventDefault();
  submitJob();
});
byId('submit-text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) byId('submit-form').requestSubmit();
});
