'use strict';
// The console's pages. Everything that comes from the cluster is put in as text, never as HTML.

const main = document.getElementById('main');
const told = document.getElementById('told');

function h(name, props, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props || {})) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined).map(
    child => child instanceof Node ? child : String(child)));
  return element;
}

function tell(text, bad) {
  told.textContent = text;
  told.className = bad ? 'bad' : '';
}

async function call(path, params, body) {
  const query = new URLSearchParams(params || {}).toString();
  const options = body === undefined ? {} : {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-skua-console': '1' },
    body: JSON.stringify(body),
  };
  const response = await fetch('api/' + path + (query ? '?' + query : ''), options);
  const answer = await response.json().catch(() => ({ error: response.statusText }));
  if (!response.ok) throw new Error(answer.error || response.statusText);
  return answer;
}

// A date as people write it becomes milliseconds, in the time zone of the browser.
const moment = text => /^\d+$/.test(text) || isNaN(new Date(text)) ? text : String(new Date(text).getTime());
const when = ms => ms > 0 ? new Date(ms).toLocaleString() : '–';
const link = (text, page, params) => h('a', { href: '#' + page + '?' + new URLSearchParams(params) }, text);

// columns: [title, row => cell, isNumber]
function table(columns, rows) {
  const kind = column => column[2] ? { class: 'number' } : {};
  return h('table', {},
    h('thead', {}, h('tr', {}, columns.map(column => h('th', kind(column), column[0])))),
    h('tbody', {}, rows.map(row => h('tr', {}, columns.map(column => {
      const cell = column[1](row);
      return h('td', kind(column), cell === undefined || cell === null ? '–' : cell);
    })))));
}

function fields(object) {
  return table([['Key', row => row[0]], ['Value', row => row[1]]], Object.entries(object || {}).sort());
}

function field(label, name, props) {
  return h('label', {}, label, h('input', { name, ...props }));
}

function form(names, text, act) {
  return h('form', {
    onsubmit: event => {
      event.preventDefault();
      const given = Object.fromEntries(new FormData(event.target));
      Promise.resolve(act(given)).catch(error => tell(error.message, true));
    },
  }, names, h('button', {}, text));
}

function go(page, params) {
  const clean = Object.fromEntries(Object.entries(params).filter(([, value]) => value !== '' && value !== undefined));
  const hash = '#' + page + '?' + new URLSearchParams(clean);
  if (location.hash === hash) show(); else location.hash = hash;
}

function pages(page, params, answer) {
  const last = Math.max(0, Math.ceil(answer.total / answer.pageSize) - 1);
  const to = number => h('button', { onclick: () => go(page, { ...params, page: number }) }, number < answer.page ? '‹ before' : 'next ›');
  return h('div', { class: 'bar' },
    answer.page > 0 ? to(answer.page - 1) : null,
    `${answer.total} in all, page ${answer.page + 1} of ${last + 1}`,
    answer.page < last ? to(answer.page + 1) : null);
}

const show_pages = {
  async clusters() {
    const brokers = await call('clusters');
    return [h('h1', {}, 'Clusters'), table([
      ['Cluster', row => row.cluster],
      ['Broker', row => link(row.brokerName, 'broker', { addr: row.addr })],
      ['Id', row => row.brokerId, true],
      ['Address', row => row.addr],
      ['Version', row => row.version],
      ['In /s', row => row.inTps.toFixed(1), true],
      ['Out /s', row => row.outTps.toFixed(1), true],
      ['Disk', row => (row.diskRatio * 100).toFixed(0) + ' %', true],
    ], brokers)];
  },

  async broker({ addr }) {
    const broker = await call('broker', { addr });
    return [h('h1', {}, 'Broker ' + addr), h('h2', {}, 'State'), fields(broker.status), h('h2', {}, 'Configuration'), fields(broker.config)];
  },

  async topics(params) {
    const { kind = 'user', search = '', page = 0 } = params;
    const [answer, brokers] = await Promise.all([call('topics', { kind, search, page }), call('clusters')]);
    const clusters = [...new Set(brokers.map(broker => broker.cluster))];
    const select = h('select', { name: 'kind' }, [['user', 'of users'], ['retry', 'retry'], ['dlq', 'dead letters'], ['all', 'all']]
      .map(([value, text]) => h('option', { value, ...(value === kind ? { selected: '' } : {}) }, text)));
    return [h('h1', {}, 'Topics'),
      form([field('Search', 'search', { value: search }), h('label', {}, 'Kind', select)], 'Show', given => go('topics', given)),
      table([
        ['Topic', row => link(row, 'topic', { name: row })],
        ['', row => link('messages', 'messages', { topic: row })],
      ], answer.rows),
      pages('topics', { kind, search }, answer),
      h('h2', {}, 'Make a topic'),
      form([
        field('Name', 'name', { required: '' }),
        h('label', {}, 'Cluster', h('select', { name: 'cluster' }, clusters.map(name => h('option', {}, name)))),
        field('Queues', 'queues', { type: 'number', min: 1, max: 1024, value: 8 }),
        h('label', {}, 'Permission', h('select', { name: 'perm' }, [[6, 'read and write'], [4, 'read'], [2, 'write']].map(([value, text]) => h('option', { value }, text)))),
      ], 'Make', async given => {
        await call('topic', {}, { ...given, queues: Number(given.queues), perm: Number(given.perm) });
        tell('made: ' + given.name);
        go('topic', { name: given.name });
      })];
  },

  async topic({ name }) {
    const topic = await call('topic', { name });
    return [h('h1', {}, 'Topic ' + name),
      h('div', { class: 'bar' }, link('messages', 'messages', { topic: name })),
      table([
        ['Broker', row => row.brokerName],
        ['Read queues', row => row.readQueueNums, true],
        ['Write queues', row => row.writeQueueNums, true],
        ['Permission', row => (row.perm & 4 ? 'R' : '-') + (row.perm & 2 ? 'W' : '-'), false],
      ], topic.route.queueDatas),
      h('h2', {}, 'Queues'),
      table([
        ['Broker', row => row.brokerName],
        ['Queue', row => row.queueId, true],
        ['From', row => row.minOffset, true],
        ['To', row => row.maxOffset, true],
        ['Messages', row => row.maxOffset - row.minOffset, true],
        ['Last', row => when(row.lastUpdateTimestamp)],
      ], topic.status.queues)];
  },

  async groups(params) {
    const { search = '', page = 0 } = params;
    const answer = await call('groups', { search, page });
    return [h('h1', {}, 'Subscription groups'),
      form([field('Search', 'search', { value: search })], 'Show', given => go('groups', given)),
      table([
        ['Group', row => link(row.group, 'group', { name: row.group })],
        ['Lag', row => row.lag, true],
        ['Consumed /s', row => row.tps === null ? null : row.tps.toFixed(1), true],
        ['Consumers', row => row.consumers, true],
        ['', row => link('dead letters', 'dead-letters', { group: row.group })],
      ], answer.rows),
      pages('groups', { search }, answer)];
  },

  async group({ name }) {
    const group = await call('group', { name });
    const queues = group.progress ? group.progress.queues : [];
    const topics = [...new Set(queues.map(queue => queue.topic))];
    return [h('h1', {}, 'Group ' + name),
      h('p', {}, group.progress ? `${group.progress.diffTotal} messages before it` : 'It has not consumed anything yet.'),
      table([
        ['Topic', row => row.topic],
        ['Broker', row => row.brokerName],
        ['Queue', row => row.queueId, true],
        ['End', row => row.brokerOffset, true],
        ['Consumed to', row => row.consumerOffset, true],
        ['Lag', row => row.diff, true],
        ['Last consumed', row => when(row.lastTimestamp)],
      ], queues),
      h('h2', {}, 'Consumers'),
      table([
        ['Client', row => row.clientId],
        ['Address', row => row.clientAddr],
        ['Language', row => row.language],
      ], group.consumers && group.consumers.connectionSet || []),
      h('h2', {}, 'Reset offsets'),
      form([
        h('label', {}, 'Topic', h('select', { name: 'topic', required: '' }, topics.map(topic => h('option', {}, topic)))),
        field('To (now, or as 2026-01-31 12:30)', 'time', { value: 'now', required: '', size: 28 }),
      ], 'Reset', async given => {
        if (!confirm(`Set the offsets of ${name} in ${given.topic} to ${given.time}?`)) return;
        await call('offset', {}, { group: name, topic: given.topic, time: moment(given.time) });
        tell(`offsets of ${name} set to ${given.time}`);
        show();
      })];
  },

  async messages(params) {
    const { topic = '', id = '', key = '', from = '', to = '' } = params;
    const asked = { topic };
    if (id) asked.id = id;
    else if (key) asked.key = key;
    else if (from) {
      asked.from = new Date(from).getTime();
      if (to) asked.to = new Date(to).getTime();
    }
    const found = topic ? await call('messages', asked) : [];
    return [h('h1', {}, 'Messages'),
      form([
        field('Topic', 'topic', { value: topic, required: '' }),
        field('Id', 'id', { value: id }),
        field('or key', 'key', { value: key }),
        field('or from', 'from', { type: 'datetime-local', value: from }),
        field('to', 'to', { type: 'datetime-local', value: to }),
      ], 'Find', given => go('messages', given)),
      topic ? messages(found) : null];
  },

  async 'dead-letters'(params) {
    const { group = '' } = params;
    const found = group ? await call('dead-letters', { group }) : [];
    const resend = row => h('button', {
      onclick: event => {
        event.target.disabled = true;
        call('dead-letters', {}, { group, broker: row.broker, queueId: row.queueId, queueOffset: row.queueOffset })
          .then(sent => tell(`sent again: ${sent.sent} ${sent.uniqueId}`))
          .catch(error => { event.target.disabled = false; tell(error.message, true); });
      },
    }, 'Send again');
    return [h('h1', {}, 'Dead letters'),
      form([field('Group', 'group', { value: group, required: '' })], 'Show', given => go('dead-letters', given)),
      group ? messages(found, [['', resend]]) : null];
  },
};

function messages(found, more) {
  if (!found.length) return h('p', {}, 'No messages.');
  return table([
    ['Stored', row => when(row.storeTimestamp)],
    ['Place', row => `${row.broker ? row.broker + ' ' : ''}queue ${row.queueId}, offset ${row.queueOffset}`],
    ['Id', row => row.uniqueId || row.messageId],
    ['Properties', row => h('pre', {}, Object.entries(row.properties).map(([key, value]) => `${key}=${value}`).join('\n'))],
    ['Body', row => h('pre', {}, row.body !== undefined ? row.body : '(bytes) ' + row.bodyHex)],
    ...(more || []),
  ], found);
}

let shown = 0;

async function show() {
  const mine = ++shown;
  const [page, query] = location.hash.slice(1).split('?');
  const name = Object.hasOwn(show_pages, page) ? page : 'clusters';
  for (const anchor of document.querySelectorAll('nav a')) {
    anchor.className = anchor.getAttribute('href') === '#' + name ? 'here' : '';
  }
  main.setAttribute('aria-busy', 'true');
  try {
    const content = await show_pages[name](Object.fromEntries(new URLSearchParams(query || '')));
    // A page that was asked for later is not overwritten.
    if (mine === shown) main.replaceChildren(...content.filter(part => part));
  } catch (error) {
    if (mine === shown) main.replaceChildren(h('p', { class: 'bad' }, error.message));
  }
  if (mine === shown) main.removeAttribute('aria-busy');
}

addEventListener('hashchange', () => { tell(''); show(); });
show();
