// --- A job by hand.

const EXAMPLES = {
  primes: { kind: 'primes', range: '0..1e8', metadata: { note: 'comes back with the outcome' } },
  stats: { kind: 'stats', values: [1, 2, 3.5, 4], quantiles: [0.5] },
  factor: { kind: 'factor', n: '1000000007000000049' },
  fibonacci: { kind: 'fibonacci', n: 1000 },
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
  setText(byId('submit-done'), '');
  try {
    const { id } = await jsonOf('/v1/jobs', { method: 'POST', body: text, headers: { 'Content-Type': 'application/json' } });
    byId('submit-done').replaceChildren('It is on disk as ', make('a', { href: `#job=${id}` }, id));
  } catch (error) {
    showPlace(text, error);
  }
  byId('submit-button').disabled = false;
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
byId('submit-form').addEventListener('submit', (event) => {
  event.preventDefault();
  submitJob();
});
byId('submit-text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) byId('submit-form').requestSubmit();
});
