// --- Datasets, while somebody looks at them.

const DATASETS_MS = 5000;

async function loadDatasets() {
  const body = byId('datasets').querySelector('tbody');
  try {
    const { datasets } = await jsonOf('/v1/datasets');
    const total = datasets.reduce((sum, dataset) => sum + dataset.bytes, 0);
    setText(byId('datasets-words'), datasets.length ? `${counted(datasets.length, 'dataset', 'datasets')}, ${bytesText(total)} together` : 'None: PUT one to /v1/datasets/NAME, and jobs can name it.');
    // Rows are made anew only where something differs, so that focus stays.
    const text = JSON.stringify(datasets);
    if (body.dataset.shown === text) return;
    body.dataset.shown = text;
    body.replaceChildren(...datasets.map((dataset) => make('tr', {},
      make('td', { class: 'text' }, visible(dataset.name)), make('td', {}, dataset.format || 'not said'), make('td', { class: 'number' }, bytesText(dataset.bytes)),
      make('td', {}, dateText(dataset.put_ms)),
      make('td', { class: 'do' }, make('button', { type: 'button', 'aria-label': `Remove the dataset ${dataset.name}`, click: () => removeDataset(dataset.name) }, 'Remove')))));
    body.parentElement.hidden = datasets.length === 0;
  } catch (error) {
    setText(byId('datasets-words'), `They cannot be had: ${visible(error.message)}`);
  }
}

async function removeDataset(name) {
  await change(name, 'is removed', `/v1/datasets/${encodeURIComponent(name)}`, { method: 'DELETE' });
  await loadDatasets();
}

byId('datasets').addEventListener('toggle', loadDatasets);
setInterval(() => {
  if (byId('datasets').open && !document.hidden) loadDatasets();
}, DATASETS_MS);
