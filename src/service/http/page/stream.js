// --- Events as they happen. A stream that is read by hand, since `EventSource` can show no token.

// A connection that says nothing for so long is lost; the service gives a sign of life every 15 s.
const SILENCE_MS = 40_000;
const RETRY_MS = 500;
const RETRY_MAX_MS = 8_000;

// Reads one stream until it ends. Gives each event to `take`, and calls `heard` whenever something comes.
async function readEvents(body, take, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { id: null, event: 'message', data: '' };
      for (const line of block.split('\n')) {
        const colon = line.indexOf(':');
        if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, '');
      }
      if (event.data) take(event);
    }
  }
}

// Listens for as long as the page is there, from where it was. `on` has `job(event)`, `missed(count)`, `connected()` and
// `lost()`.
async function listen(on) {
  let [last, pause] = [null, RETRY_MS];
  for (;;) {
    const abort = new AbortController();
    let alarm = 0;
    const heard = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    try {
      const headers = last === null ? {} : { 'Last-Event-ID': last };
      const reply = await ask('/v1/events', { headers, signal: abort.signal });
      if (!reply.ok) throw new Error(`status ${reply.status}`);
      on.connected();
      pause = RETRY_MS;
      heard();
      await readEvents(reply.body, (event) => {
        if (event.id !== null) last = event.id;
        const data = JSON.parse(event.data);
        if (event.event === 'job') on.job(data);
        else if (event.event === 'missed') on.missed(data.count);
      }, heard);
    } catch {
      // What went wrong with a connection is told nowhere but here: that it is lost.
    }
    clearTimeout(alarm);
    abort.abort();
    on.lost();
    await delay(pause);
    pause = Math.min(pause * 2, RETRY_MAX_MS);
  }
}
