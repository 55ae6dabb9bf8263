package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const batch = 10

// sender is a producer that tells each acknowledged message as `sent`.
type sender struct {
	name     string
	producer rocketmq.Producer
	choose   *selector
	flooding atomic.Bool
	flooded  sync.WaitGroup
}

// selector obeys `queue=` and takes the queues in turn otherwise.
type selector struct {
	producer.QueueSelector
	queue int
}

func (s *selector) Select(m *primitive.Message, queues []*primitive.MessageQueue, last string) *primitive.MessageQueue {
	for _, q := range queues {
		if q.QueueId == s.queue {
			return q
		}
	}
	return s.QueueSelector.Select(m, queues, last)
}

func newSender(c command) (*sender, error) {
	choose := &selector{QueueSelector: producer.NewRoundRobinQueueSelector(), queue: -1}
	opts := []producer.Option{
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{c.get("namesrv", "")})),
		producer.WithGroupName(c.get("group", "")),
		producer.WithInstanceName(c.name),
		producer.WithRetry(c.number("retries", 2)),
		producer.WithSendMsgTimeout(time.Duration(c.number("timeout", 10000)) * time.Millisecond),
		producer.WithQueueSelector(choose),
	}
	if key := c.get("ak", ""); key != "" {
		opts = append(opts, producer.WithCredentials(primitive.Credentials{AccessKey: key, SecretKey: c.get("sk", "")}))
	}
	if space := c.get("ns", ""); space != "" {
		opts = append(opts, producer.WithNamespace(space))
	}
	if config := tracing(c); config != nil {
		opts = append(opts, producer.WithTrace(config))
	}
	p, err := rocketmq.NewProducer(opts...)
	if err == nil {
		err = p.Start()
	}
	return &sender{name: c.name, producer: p, choose: choose}, err
}

func (s *sender) Shutdown() error {
	s.halt()
	return s.producer.Shutdown()
}

// flood sends until halt, and tells when each send was begun and ended.
func (s *sender) flood(c command) {
	pause := time.Duration(c.number("pause", 0)) * time.Millisecond
	var next atomic.Int64
	s.flooding.Store(true)
	for i := 0; i < c.number("threads", 1); i++ {
		s.flooded.Add(1)
		go func() {
			defer s.flooded.Done()
			for s.flooding.Load() {
				m := message(c, int(next.Add(1)-1))
				begun := micros()
				result, err := s.producer.SendSync(context.Background(), m)
				when := fmt.Sprintf(" begun=%d ended=%d", begun, micros())
				if err = s.sentAt(when, result, err, m); err != nil {
					tell("lost by=%s %s why=%s", s.name, body(m.Body), oneWord(err.Error()))
					// Must not spin while the server is away.
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(pause)
			}
		}()
	}
}

var started = time.Now()

// micros is microseconds since the epoch by a clock that nobody sets back.
func micros() int64 {
	return started.UnixMicro() + time.Since(started).Microseconds()
}

func (s *sender) halt() {
	s.flooding.Store(false)
	s.flooded.Wait()
}

func (s *sender) send(c command) error {
	s.choose.queue = c.number("queue", -1)
	messages := make([]*primitive.Message, c.number("count", 1))
	for i := range messages {
		messages[i] = message(c, i)
	}
	ctx := context.Background()
	switch mode := c.get("mode", ""); mode {
	case "sync":
		for _, m := range messages {
			result, err := s.producer.SendSync(ctx, m)
			if err = s.sent(result, err, m); err != nil {
				return err
			}
		}
	case "async":
		return s.async(ctx, messages)
	case "oneway":
		for _, m := range messages {
			// Told first: nothing tells later whether it arrived.
			tell("sent by=%s topic=%s %s tag=%s", s.name, m.Topic, body(m.Body), m.GetTags())
			if err := s.producer.SendOneWay(ctx, m); err != nil {
				return err
			}
		}
	case "batch":
		for len(messages) > 0 {
			n := min(batch, len(messages))
			result, err := s.producer.SendSync(ctx, messages[:n]...)
			if err = s.sent(result, err, messages[:n]...); err != nil {
				return err
			}
			messages = messages[n:]
		}
	default:
		return fmt.Errorf("no such mode: %s", mode)
	}
	return nil
}

func (s *sender) async(ctx context.Context, messages []*primitive.Message) error {
	failures := make(chan error, len(messages))
	for _, m := range messages {
		m := m
		var once sync.Once
		err := s.producer.SendAsync(ctx, func(_ context.Context, result *primitive.SendResult, err error) {
			once.Do(func() { failures <- s.sent(result, err, m) })
		}, m)
		if err != nil {
			return err
		}
	}
	for range messages {
		if err := <-failures; err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) sent(result *primitive.SendResult, err error, messages ...*primitive.Message) error {
	return s.sentAt("", result, err, messages...)
}

func (s *sender) sentAt(when string, result *primitive.SendResult, err error, messages ...*primitive.Message) error {
	if err != nil {
		return err
	}
	if result.Status != primitive.SendOK {
		return fmt.Errorf("sent with status %d", result.Status)
	}
	// The client knows no id for each message of a batch: the first's offset is all there is.
	for i, m := range messages {
		tell("sent by=%s topic=%s broker=%s queue=%d offset=%d %s tag=%s id=%s%s", s.name, m.Topic,
			result.MessageQueue.BrokerName, result.MessageQueue.QueueId, result.QueueOffset+int64(i), body(m.Body),
			m.GetTags(), result.MsgID, when)
	}
	return nil
}

func message(c command, i int) *primitive.Message {
	text := fmt.Sprintf("%s-%d ", c.get("prefix", ""), i)
	for size := c.number("size", 0); len(text) < size; {
		text += string(rune('a' + len(text)%26))
	}
	m := primitive.NewMessage(c.get("topic", ""), []byte(text))
	if tags := c.get("tags", ""); tags != "" {
		choice := strings.Split(tags, ",")
		m.WithTag(choice[i%len(choice)])
	}
	m.WithKeys([]string{fmt.Sprintf("%s-%d", c.get("prefix", ""), i)})
	if level := c.number("delay", 0); level > 0 {
		m.WithDelayTimeLevel(level)
	}
	if due := c.number("due", 0); due > 0 {
		m.WithProperty("due", strconv.FormatInt(time.Now().UnixMilli()+int64(due), 10))
	}
	if kind, value, ok := strings.Cut(c.get("timer", ""), ":"); ok {
		timer(m, kind, value)
	}
	return m
}

// timer delays by the properties: the client has no methods for them.
func timer(m *primitive.Message, kind, value string) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		panic(err)
	}
	due := time.Now().UnixMilli() + n
	switch kind {
	case "delay":
		m.WithProperty("TIMER_DELAY_MS", value)
	case "sec":
		due = time.Now().UnixMilli() + n*1000
		m.WithProperty("TIMER_DELAY_SEC", value)
	case "deliver":
		m.WithProperty("TIMER_DELIVER_MS", strconv.FormatInt(due, 10))
	default:
		panic("no such timer: " + kind)
	}
	m.WithProperty("due", strconv.FormatInt(due, 10))
}
