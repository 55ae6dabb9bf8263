// Drives the Node client `ali-ons` by commands on standard input.
//
// The language is that of ../java/driver/Driver.java: producer, send (sync), flood, halt, consumer
// (concurrent, broadcast), stop. The client itself comes from the folder that NODE_PATH names.
'use strict';

const readline = require('readline');
const zlib = require('zlib');
const { Consumer, Message, Producer } = require('ali-ons');

const tell = line => process.stdout.write(`@ ${line}\n`);
// Nothing of the client may come between the driver's lines.
const logger = { info() {}, debug() {}, warn() {}, error: text => process.stderr.write(`${text}\n`) };
// The client asks for one even where name servers are given to it.
const httpclient = { request: async () => { throw new Error('no HTTP here'); } };

const shown = body => {
  const first = body.toString().split(' ')[0];
  return `body=${first} size=${body.length} crc=${zlib.crc32(body)}`;
};

const sleep = millis => new Promise(done => setTimeout(done, millis));

// Delays by the properties: the client has no methods for them.
function timer(message, [kind, value]) {
  const due = Date.now() + Number(value) * (kind === 'sec' ? 1000 : 1);
  message.properties.due = String(due);
  switch (kind) {
    case 'delay': message.properties.TIMER_DELAY_MS = value; break;
    case 'sec': message.properties.TIMER_DELAY_SEC = value; break;
    case 'deliver': message.properties.TIMER_DELIVER_MS = String(due); break;
    default: throw new Error(`no such timer: ${kind}`);
  }
}

const options = (name, values) => ({
  httpclient,
  logger,
  nameSrv: values.namesrv,
  namespace: values.ns || '',
  instanceName: name,
  accessKeyId: values.ak || 'none',
  accessKeySecret: values.sk || 'none',
});

class Sender {
  async start(name, values) {
    this.name = name;
    this.producer = new Producer({ ...options(name, values), producerGroup: values.group });
    this.producer.on('error', error => process.stderr.write(`${error.stack}\n`));
    await this.producer.ready();
  }

  /** The message, and what is told of it. */
  message(values, i) {
    const tags = (values.tags || '').split(',');
    let text = `${values.prefix}-${i}`;
    const size = Number(values.size || 0);
    if (text.length < size) text += ' ' + 'x'.repeat(size - text.length - 1);
    const tag = tags[i % tags.length];
    const message = new Message(values.topic, tag, text);
    for (const property of (values.props || '').split(';').filter(Boolean)) {
      const at = property.indexOf(':');
      message.properties[property.slice(0, at)] = property.slice(at + 1);
    }
    if (values.delay) message.delayTimeLevel = Number(values.delay);
    if (values.due) message.properties.due = String(Date.now() + Number(values.due));
    if (values.timer) timer(message, values.timer.split(':'));
    return [message, `by=${this.name} topic=${values.topic} ${shown(Buffer.from(text))} tag=${tag}`];
  }

  async sendOne([message, told]) {
    const result = await this.producer.send(message);
    if (result.sendStatus !== 'SEND_OK') throw new Error(JSON.stringify(result));
    tell(`sent ${told} queue=${result.messageQueue.queueId} offset=${result.queueOffset}`);
  }

  async send(values) {
    for (let i = 0; i < Number(values.count); i++) await this.sendOne(this.message(values, i));
  }

  flood(values) {
    this.flooding = true;
    let next = 0;
    const run = async () => {
      while (this.flooding) {
        const one = this.message(values, next++);
        try {
          await this.sendOne(one);
        } catch (error) {
          tell(`lost ${one[1]} why=${error.message.split(/\s+/).join('_')}`);
          // Must not spin while the server is away.
          await sleep(20);
        }
        await sleep(Number(values.pause || 0));
      }
    };
    this.flooded = Array.from({ length: Number(values.threads || 1) }, run);
  }

  async halt() {
    this.flooding = false;
    await Promise.all(this.flooded || []);
  }

  async stop() {
    await this.halt();
    await this.producer.close();
  }
}

class Receiver {
  async start(name, values) {
    const refusals = Number(values.fail || 0);
    this.consumer = new Consumer({
      ...options(name, values),
      consumerGroup: values.group,
      isBroadcast: values.kind === 'broadcast',
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
      maxReconsumeTimes: Number(values.retries || 16),
    });
    this.consumer.on('error', error => process.stderr.write(`${error.stack}\n`));
    const filter = values.sql
      ? { expressionType: 'SQL92', subString: values.sql.replaceAll('~', ' ') }
      : (values.tags || '*').split(',').join(' || ');
    this.consumer.subscribe(values.topic, filter, async m => {
      const line = `by=${name} topic=${m.topic} queue=${m.queueId} offset=${m.queueOffset} ` +
        `${shown(m.body)} tag=${m.tags || ''} times=${m.reconsumeTimes} id=${m.msgId} ` +
        `stored=${m.storeTimestamp} due=${m.properties.due || ''}`;
      if (m.reconsumeTimes < refusals) {
        tell('refused ' + line);
        // What came again can be refused by an error only: the client passes over what it returns.
        if (m.reconsumeTimes > 0) throw new Error('refused');
        return Consumer.ACTION_RETRY;
      }
      tell('got ' + line);
    });
    await this.consumer.ready();
  }

  stop() { return this.consumer.close(); }
}

const clients = {};

async function run(verb, name, values) {
  switch (verb) {
    case 'producer': return (clients[name] = new Sender()).start(name, values);
    case 'consumer': return (clients[name] = new Receiver()).start(name, values);
    case 'send': return clients[name].send(values);
    case 'flood': return clients[name].flood(values);
    case 'halt': return clients[name].halt();
    case 'stop': return clients[name].stop();
    default: throw new Error(`no such verb: ${verb}`);
  }
}

async function main() {
  tell('ready');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [ident, verb, name, ...words] = line.trim().split(/\s+/);
    const values = Object.fromEntries(words.map(word => {
      const at = word.indexOf('=');
      return [word.slice(0, at), word.slice(at + 1)];
    }));
    try {
      await run(verb, name, values);
      tell(`end ${ident}`);
    } catch (error) {
      tell(`fail ${ident} ${String(error.stack).split('\n').join(' ')}`);
    }
  }
  process.exit(0);
}

main();
