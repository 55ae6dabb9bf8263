// Command driver drives the official Go client by commands on standard input; the language is that
// of ../java/driver/Driver.java, save `poll`: the client asks for routes every half a minute.
package main

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// command is one line of standard input: ID VERB NAME KEY=VALUE …
type command struct {
	id, verb, name string
	values         map[string]string
}

func parse(line string) command {
	words := strings.Fields(line)
	c := command{id: words[0], verb: words[1], name: words[2], values: map[string]string{}}
	for _, word := range words[3:] {
		key, value, _ := strings.Cut(word, "=")
		c.values[key] = value
	}
	return c
}

func (c command) get(key, otherwise string) string {
	if value, ok := c.values[key]; ok {
		return value
	}
	return otherwise
}

func (c command) number(key string, otherwise int) int {
	n, err := strconv.Atoi(c.get(key, strconv.Itoa(otherwise)))
	if err != nil {
		panic(err)
	}
	return n
}

var output sync.Mutex

func tell(format string, args ...any) {
	output.Lock()
	defer output.Unlock()
	fmt.Printf("@ "+format+"\n", args...)
}

// body gives the body's first word, its length and its CRC-32: enough to know it again.
func body(b []byte) string {
	first, _, _ := strings.Cut(string(b), " ")
	return fmt.Sprintf("body=%s size=%d crc=%d", first, len(b), crc32.ChecksumIEEE(b))
}

// tracing is for producers and consumers that report what they do.
func tracing(c command) *primitive.TraceConfig {
	if c.get("trace", "") != "true" {
		return nil
	}
	resolver := primitive.NewPassthroughResolver([]string{c.get("namesrv", "")})
	return &primitive.TraceConfig{Access: primitive.Local, Resolver: resolver}
}

// oneWord makes a text the value of one key.
func oneWord(text string) string {
	return strings.Join(strings.Fields(text), "_")
}

func tellMessage(word, by string, m *primitive.MessageExt) {
	tell("%s by=%s topic=%s queue=%d offset=%d %s tag=%s times=%d id=%s stored=%d due=%s", word, by, m.Topic,
		m.Queue.QueueId, m.QueueOffset, body(m.Body), m.GetTags(), m.ReconsumeTimes, m.MsgId,
		m.StoreTimestamp, m.GetProperty("due"))
}

// client is a producer or consumer that has been started.
type client interface{ Shutdown() error }

func run(c command, clients map[string]client) (err error) {
	switch c.verb {
	case "producer":
		clients[c.name], err = newSender(c)
	case "send":
		err = clients[c.name].(*sender).send(c)
	case "flood":
		clients[c.name].(*sender).flood(c)
	case "halt":
		clients[c.name].(*sender).halt()
	case "consumer":
		clients[c.name], err = newReceiver(c)
	case "scan":
		err = scan(c)
	case "request":
		err = clients[c.name].(*sender).request(c)
	case "responder":
		clients[c.name], err = newResponder(c)
	case "transactor":
		clients[c.name], err = newTransactor(c)
	case "transact":
		err = clients[c.name].(*transactor).send(c)
	case "answer":
		err = clients[c.name].(*transactor).set(c)
	case "stop":
		err = clients[c.name].Shutdown()
		delete(clients, c.name)
	default:
		err = fmt.Errorf("no such verb: %s", c.verb)
	}
	return err
}

func main() {
	rlog.SetLogLevel("warn")
	if err := rlog.SetOutputPath(os.Getenv("INTEROP_LOG")); err != nil {
		panic(err)
	}
	clients := map[string]client{}
	tell("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		c := parse(in.Text())
		if err := run(c, clients); err != nil {
			tell("fail %s %s", c.id, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			tell("end %s", c.id)
		}
	}
	for _, c := range clients {
		_ = c.Shutdown()
	}
}
