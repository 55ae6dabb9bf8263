// Drives the Node client `ali-ons` by commands on standard input.
//
// The language is that of ../java/driver/Driver.java: producer, send (sync), consumer
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

const options = (name, values) => ({
  httpclient,
  logger,
  nameSrv: values.namesrv,
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

  async send(values) {
    const tags = (values.tags || '').split(',');
    for (let i = 0; i < Number(values.count); i++) {
      let text = `${values.prefix}-${i}`;
      const size = Number(values.size || 0);
      if (text.length < size) text += ' ' + 'x'.repeat(size - text.length - 1);
      const tag = tags[i % tags.length];
      const message = new Message(values.topic, tag, text);
      const told = `sent by=${this.name} topic=${values.topic} ${shown(Buffer.from(text))} tag=${tag}`;
      const result = await this.producer.send(message);
      if (result.sendStatus !== 'SEND_OK') throw new Error(JSON.stringify(result));
      tell(`${told} queue=${result.messageQueue.queueId} offset=${result.queueOffset}`);
    }
  }

  stop() { return this.producer.close(); }
}

class Receiver {
  async start(name, values) {
    const refusals = Number(values.fail || 0);
    this.consumer = new Consumer({
      ...options(name, values),
      consumerGroup: values.group,
      isBroadcast: values.kind === 'broadcast',
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    });
    this.consumer.on('error', error => process.stderr.write(`${error.stack}\n`));
    const tags = (values.tags || '*').split(',').join(' || ');
    this.consumer.subscribe(values.topic, tags, async m => {
      const line = `by=${name} topic=${m.topic} queue=${m.queueId} offset=${m.queueOffset} ` +
        `${shown(m.body)} tag=${m.tags || ''} times=${m.reconsumeTimes} id=${m.msgId}`;
      if (m.reconsumeTimes < refusals) {
        tell('refused ' + line);
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
