// What both pages need. Whatever comes from the service or its clients becomes a text node: no markup is ever made of it.

const byId = (id) => document.getElementById(id);
const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// An element with these attributes; functions among them are listeners. Children that are no nodes become text.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Sets text only where it differs, so that selections and screen readers are left alone.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Text from outside: control characters, and those that reorder what is around them, are shown as what they are.
function visible(text, keep = '') {
  const escape = (character) => keep.includes(character) ? character : `\\u{${character.codePointAt(0).toString(16)}}`;
  return String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, escape);
}
const visibleLines = (text) => visible(text, '\n\t');

// Text with `code` in it.
const coded = (text) => text.split('`').map((piece, at) => at % 2 ? make('code', {}, visible(piece)) : visible(piece));

function shorten(text, max) {
  if (text.length <= max) return text;
  const end = /[\ud800-\udbff]/.test(text[max - 1]) ? max - 1 : max;
  return `${text.slice(0, end)}…`;
}

const digits3 = (value) => value >= 100 ? Math.round(value).toString() : value.toPrecision(3);
const whole = (value) => Number(value).toLocaleString('en');

function timeText(ms) {
  if (ms === 0) return '0 ms';
  if (ms < 0.9995) return `${digits3(ms * 1e3)} us`;
  if (ms < 999.5) return `${digits3(ms)} ms`;
  if (ms < 59_950) return `${digits3(ms / 1e3)} s`;
  const seconds = Math.round(ms / 1e3);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function bytesText(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  for (; bytes >= 1023.5 && unit + 1 < units.length; unit += 1) bytes /= 1024;
  return unit === 0 ? `${bytes} B` : `${digits3(bytes)} ${units[unit]}`;
}

// A moment by this machine's clock, the same in every language.
function dateText(ms) {
  const date = new Date(ms);
  const two = (value) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

const counted = (count, one, many) => `${whole(count)} ${Number(count) === 1 ? one : many}`;

// --- Who asks

const TOKEN = 'tandem-token';
let tokenGiven = null;

// Resolves once somebody has given a token.
function askForToken(wasWrong) {
  if (tokenGiven) return tokenGiven;
  const [dialog, form, field] = [byId('token-dialog'), byId('token-form'), byId('token')];
  byId('token-wrong').hidden = !wasWrong;
  tokenGiven = new Promise((resolve) => {
    const stay = (event) => event.preventDefault();
    dialog.addEventListener('cancel', stay);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, field.value.trim());
      field.value = '';
      dialog.removeEventListener('cancel', stay);
      dialog.close();
      tokenGiven = null;
      resolve();
    }, { once: true });
  });
  dialog.showModal();
  field.focus();
  return tokenGiven;
}

// An answer that takes longer is none.
const ANSWER_MS = 15_000;

// Asks the service, with the token where there is one.
async function ask(path, { answerMs = ANSWER_MS, ...options } = {}) {
  for (;;) {
    const headers = new Headers(options.headers);
    const token = sessionStorage.getItem(TOKEN);
    // What no header can hold is no token.
    if (token && /^[\x21-\x7e]+$/.test(token)) headers.set('Authorization', `Bearer ${token}`);
    const signal = options.signal || AbortSignal.timeout(answerMs);
    const reply = await fetch(path, { ...options, headers, signal, cache: 'no-store' });
    if (reply.status !== 401) return reply;
    // Another request may have got a better one meanwhile.
    if (sessionStorage.getItem(TOKEN) === token) {
      sessionStorage.removeItem(TOKEN);
      await askForToken(token !== null);
    }
  }
}

// A request that was refused: what the service says of it.
class Refused extends Error {
  constructor(status, failure) {
    super(failure.message || `the service answers ${status}`);
    Object.assign(this, { status, code: failure.code, line: failure.line, column: failure.column });
  }
}

async function textOf(path, options = {}) {
  const reply = await ask(path, options);
  const text = await reply.text();
  if (reply.ok) return text;
  let failure = {};
  try {
    failure = JSON.parse(text).error || {};
  } catch {
    // Something between answers in its own words.
  }
  throw new Refused(reply.status, failure);
}

const jsonOf = async (path, options) => JSON.parse(await textOf(path, options));

// --- JSON as it was written: numbers of any length stay what they are

// Where the value ends that begins here.
function valueEnd(text, at) {
  let depth = 0;
  for (let inString = false; at < text.length; at += 1) {
    const character = text[at];
    if (inString) {
      if (character === '\\') at += 1;
      else if (character === '"') inString = false;
      continue;
    }
    if (character === '"') inString = true;
    else if (character === '{' || character === '[') depth += 1;
    else if ((character === '}' || character === ']' || character === ',') && depth === 0) return at;
    else if (character === '}' || character === ']') depth -= 1;
  }
  return at;
}

// The values of an object of JSON, each as its text.
function members(text) {
  const found = new Map();
  let at = text.indexOf('{') + 1;
  while (at > 0 && at < text.length) {
    const nameAt = text.indexOf('"', at);
    if (nameAt < 0) break;
    let nameEnd = nameAt + 1;
    while (nameEnd < text.length && text[nameEnd] !== '"') nameEnd += text[nameEnd] === '\\' ? 2 : 1;
    const from = text.indexOf(':', nameEnd) + 1;
    const end = valueEnd(text, from);
    found.set(JSON.parse(text.slice(nameAt, nameEnd + 1)), text.slice(from, end).trim());
    if (text[end] !== ',') break;
    at = end + 1;
  }
  return found;
}

// The same JSON, a member a line; short ones stay on theirs.
function indented(text, indent = '') {
  text = text.trim();
  const open = text[0];
  if ((open !== '{' && open !== '[') || (text.length < 72 && !text.includes('\n'))) return text;
  const inner = `${indent}  `;
  const items = [];
  for (let at = 1; at < text.length - 1;) {
    const end = valueEnd(text, at);
    const item = text.slice(at, end).trim();
    const name = open === '{' ? /^"(?:[^"\\]|\\.)*"\s*:/.exec(item)?.[0] : undefined;
    if (item) items.push(name ? `${name} ${indented(item.slice(name.length), inner)}` : indented(item, inner));
    at = end + 1;
  }
  return `${open}\n${items.map((item) => inner + item).join(',\n')}\n${indent}${open === '{' ? '}' : ']'}`;
}
