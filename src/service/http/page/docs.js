// --- The API, from its own description at /openapi.json.

const METHODS = ['get', 'put', 'post', 'delete', 'patch'];
const ANSWER_MAX = 20_000;

let api = {};

const resolved = (thing) => {
  let found = thing;
  // A reference may lead to another one; a ring of them leads nowhere.
  for (let hops = 0; found?.$ref && hops < 8; hops += 1) {
    found = found.$ref.replace(/^#\//, '').split('/').reduce((at, part) => at?.[part.replaceAll('~1', '/').replaceAll('~0', '~')], api);
  }
  return found || {};
};
const refName = (schema) => schema.$ref.split('/').at(-1);

// Text with `code` in it, paragraph by paragraph.
function prose(text) {
  return (text || '').split(/\n{2,}/).filter((part) => part.trim()).map((part) => make('p', {}, ...coded(part.replace(/\n/g, ' '))));
}

// What a value is, in words; what has a name is a link.
function typeOf(schema) {
  if (!schema || typeof schema !== 'object') return ['anything'];
  if (schema.$ref) return [make('a', { href: `#schema-${refName(schema)}` }, refName(schema))];
  const several = schema.oneOf || schema.anyOf || schema.allOf;
  if (several) return several.flatMap((one, at) => [...(at ? [schema.allOf ? ' and ' : ' or '] : []), ...typeOf(one)]);
  if (schema.enum) return [`one of ${schema.enum.map((value) => JSON.stringify(value)).join(', ')}`];
  const types = [schema.type || 'anything'].flat().flatMap((type, at) => {
    const words = type === 'array' ? ['list of ', ...typeOf(schema.items)]
      : type === 'object' && typeof schema.additionalProperties === 'object' ? ['object of ', ...typeOf(schema.additionalProperties)] : [type];
    return at ? [' or ', ...words] : words;
  });
  return schema.format ? [...types, ` (${schema.format})`] : types;
}

// A value as it may look.
function exampleOf(schema, depth = 0) {
  if (!schema || depth > 6) return null;
  if (schema.example !== undefined) return schema.example;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.$ref) return exampleOf(resolved(schema), depth + 1);
  const several = schema.oneOf || schema.anyOf;
  if (several) return exampleOf(several.find((one) => one.type !== 'null'), depth + 1);
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((one) => exampleOf(one, depth + 1)));
  if (schema.enum) return schema.enum[0];
  switch ([schema.type].flat().find((type) => type !== 'null')) {
    case 'object': return Object.fromEntries(Object.entries(schema.properties || {}).map(([name, of]) => [name, exampleOf(of, depth + 1)]));
    case 'array': return [exampleOf(schema.items, depth + 1)];
    case 'integer': case 'number': return 0;
    case 'boolean': return false;
    case 'string': return 'text';
    default: return null;
  }
}

function table(caption, heads, rows) {
  return make('div', { class: 'wide', tabindex: '0', role: 'group', 'aria-label': caption }, make('table', {}, make('caption', { class: 'hidden' }, caption),
    make('thead', {}, make('tr', {}, ...heads.map((head) => make('th', { scope: 'col' }, head)))),
    make('tbody', {}, ...rows.map((cells) => make('tr', {}, ...cells.map((cell) => make('td', {}, ...[cell].flat())))))));
}

// --- Examples for a shell

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const filled = (path) => path.replace(/\{id\}/g, 'abcd-17').replace(/\{(\w+)\}/g, (_, name) => name.toUpperCase());
const bodyExample = (content) => content.example !== undefined ? content.example : exampleOf(content.schema);

function curlsOf(path, method, operation) {
  const begin = ['curl'];
  if (sessionStorage.getItem(TOKEN)) begin.push('-H "Authorization: Bearer $TOKEN"');
  const answers = Object.values(operation.responses || {}).flatMap((response) => Object.keys(resolved(response).content || {}));
  if (answers.includes('text/event-stream')) begin.push('-N');
  const address = quoted(location.origin + filled(path));
  const contents = Object.entries(resolved(operation.requestBody).content || {});
  const verb = (usual) => method === usual ? [] : ['-X', method.toUpperCase()];
  if (!contents.length) return [[...begin, ...verb('get'), address].join(' ')];
  return contents.map(([type, content]) => {
    const example = bodyExample(content);
    const text = typeof example === 'string' ? example : JSON.stringify(example ?? {});
    if (type === 'multipart/form-data') return [...begin, '-F', quoted(`job=${JSON.stringify(example?.job ?? {})}`), '-F scan=@scan.npy', address].join(' ');
    if (type === 'application/json') return [...begin, ...verb('post'), '--json', quoted(text), address].join(' ');
    return [...begin, ...verb('post'), '-H', quoted(`Content-Type: ${type}`), '--data-binary @FILE', address].join(' ');
  });
}

// --- One operation

const anchorOf = (path, method) => `${method}${path.replace(/[^a-z0-9]+/gi, '-')}`;

function methodBadge(method) {
  return make('span', { class: `method ${method}` }, method.toUpperCase());
}

function articleOf(path, method, operation) {
  const parts = [make('h3', {}, methodBadge(method), make('span', { class: 'mono' }, path)), ...prose(operation.summary), ...prose(operation.description)];
  const parameters = (operation.parameters || []).map(resolved);
  if (parameters.length) {
    parts.push(make('h4', {}, 'Parameters'), table(`Parameters of ${method} ${path}`, ['name', 'where', 'type', 'what it is'],
      parameters.map((parameter) => [make('code', {}, parameter.name), parameter.in + (parameter.required ? ', required' : ''), typeOf(parameter.schema), prose(parameter.description)])));
  }
  const body = resolved(operation.requestBody);
  if (body.content) {
    parts.push(make('h4', {}, 'Body'), ...prose(body.description), table(`Body of ${method} ${path}`, ['media type', 'type'],
      Object.entries(body.content).map(([type, content]) => [make('code', {}, type), typeOf(content.schema)])));
  }
  parts.push(make('h4', {}, 'Answers'), table(`Answers of ${method} ${path}`, ['status', 'body', 'what it means'],
    Object.entries(operation.responses || {}).map(([code, response]) => {
      const { content = {}, description } = resolved(response);
      const bodies = Object.entries(content).flatMap(([type, of]) => [...typeOf(of.schema), make('span', { class: 'soft' }, ` ${type}`)]);
      return [make('code', { class: code >= '400' ? 'error' : null }, code), bodies, prose(description)];
    })));
  const answer = Object.values(operation.responses || {}).map((response) => resolved(response).content?.['application/json']?.schema).find((schema) => schema?.$ref);
  if (answer) {
    parts.push(make('details', {}, make('summary', {}, 'An answer as it may look'),
      make('pre', { tabindex: '0' }, JSON.stringify(exampleOf(answer), null, 2))));
  }
  parts.push(make('h4', {}, 'By hand'), ...curlsOf(path, method, operation).map((line) => make('pre', { tabindex: '0' }, line)));
  if (method === 'get' && !path.endsWith('/events')) parts.push(tryOf(path, parameters));
  return make('article', { id: anchorOf(path, method) }, ...parts);
}

// A form that asks, and shows the answer.
function tryOf(path, parameters) {
  const fields = parameters.filter((parameter) => parameter.in !== 'header')
    .map((parameter) => ({ ...parameter, input: make('input', { autocapitalize: 'off', autocomplete: 'off', spellcheck: 'false', required: Boolean(parameter.required) }) }));
  const answer = make('div', { role: 'status' });
  const form = make('form', { class: 'try' }, ...fields.map(({ name, input }) => make('label', {}, make('code', {}, name), input)),
    make('p', {}, make('button', {}, 'Ask')), answer);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const query = new URLSearchParams();
    let address = path;
    for (const { name, in: where, input } of fields) {
      if (where === 'path') address = address.replace(`{${name}}`, encodeURIComponent(input.value.trim()));
      else if (input.value) query.set(name, input.value);
    }
    if (query.size) address += `?${query}`;
    answer.replaceChildren(make('p', { class: 'note' }, `asking ${address}`));
    try {
      const reply = await ask(address, { answerMs: 70_000 });
      const text = await reply.text();
      const isJson = (reply.headers.get('content-type') || '').includes('json') && text.length < 1e6;
      answer.replaceChildren(make('p', { class: reply.ok ? 'note' : 'bad' }, `${address}: ${reply.status}`),
        make('pre', { tabindex: '0' }, visibleLines(shorten(isJson ? indented(text) : text, ANSWER_MAX))));
    } catch (error) {
      answer.replaceChildren(make('p', { class: 'bad' }, `${address}: ${visible(error.message)}`));
    }
  });
  return make('details', {}, make('summary', {}, 'Try it'), form);
}

// --- One schema

function schemaOf(name, schema) {
  const parts = [make('h3', {}, make('span', { class: 'mono' }, name)), ...prose(schema.description)];
  const required = new Set(schema.required || []);
  const properties = Object.entries(schema.properties || {});
  if (properties.length) {
    parts.push(table(`Members of ${name}`, ['member', 'type', 'what it is'], properties.map(([member, of]) => {
      const words = of.description || (of.$ref ? resolved(of).description : '') || (of.oneOf || []).map((one) => one.description).find(Boolean);
      return [make('code', {}, member + (required.has(member) ? '' : '?')), typeOf(of), prose(words)];
    })));
    if (properties.some(([member]) => !required.has(member))) parts.push(make('p', { class: 'note' }, 'A member with ? may be missing.'));
  } else {
    parts.push(make('p', {}, ...typeOf(schema)));
  }
  return make('article', { id: `schema-${name}` }, ...parts);
}

// --- All of it

function showApi() {
  setText(byId('about'), `version ${api.info?.version}, OpenAPI ${api.openapi}`);
  const operations = Object.entries(api.paths || {}).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, operation: item[method] })));
  const tags = api.tags?.length ? api.tags : [{ name: 'operations' }];
  const sections = tags.map((tag) => ({ ...tag, operations: operations.filter(({ operation }) => (operation.tags?.[0] || 'operations') === tag.name) }));
  const link = (href, ...children) => make('li', {}, make('a', { href }, ...children));
  const schemas = Object.entries(api.components?.schemas || {});
  byId('contents').replaceChildren(
    ...sections.flatMap(({ name, operations: of }) => [make('h2', {}, name),
      make('ul', {}, ...of.map(({ path, method }) => link(`#${anchorOf(path, method)}`, methodBadge(method), make('span', { class: 'mono' }, path))))]),
    make('h2', {}, 'schemas'), make('ul', {}, ...schemas.map(([name]) => link(`#schema-${name}`, make('span', { class: 'mono' }, name)))));
  byId('operations').replaceChildren(...prose(api.info?.description),
    ...sections.flatMap(({ name, description, operations: of }) => [make('h2', {}, name), ...prose(description), ...of.map(({ path, method, operation }) => articleOf(path, method, operation))]),
    make('h2', {}, 'schemas'), ...schemas.map(([name, schema]) => schemaOf(name, schema)));
  // What the address names was not there when the browser looked for it.
  const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named) named.scrollIntoView();
}

function saveApi() {
  const address = URL.createObjectURL(new Blob([JSON.stringify(api, null, 2)], { type: 'application/json' }));
  make('a', { href: address, download: 'openapi.json' }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

byId('save').addEventListener('click', saveApi);
jsonOf('/openapi.json').then((description) => {
  api = description;
  showApi();
}).catch((error) => {
  byId('trouble').hidden = false;
  setText(byId('trouble'), visible(error.message));
});
