package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// transactor is a transaction producer: it tells each half message as `half`, each question of the
// server about one as `asked`.
type transactor struct {
	rocketmq.TransactionProducer
	name          string
	local, answer atomic.Int32
}

func (t *transactor) ExecuteLocalTransaction(*primitive.Message) primitive.LocalTransactionState {
	return primitive.LocalTransactionState(t.local.Load())
}

func (t *transactor) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	told := t.answer.Load()
	tell("asked by=%s topic=%s queue=%d offset=%d %s tag=%s checks=%s answer=%d", t.name, m.Topic,
		m.Queue.QueueId, m.QueueOffset, body(m.Body), m.GetTags(), m.GetProperty("TRANSACTION_CHECK_TIMES"), told)
	return primitive.LocalTransactionState(told)
}

func newTransactor(c command) (*transactor, error) {
	t := &transactor{name: c.name}
	if err := t.set(c); err != nil {
		return nil, err
	}
	opts := []producer.Option{
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{c.get("namesrv", "")})),
		producer.WithGroupName(c.get("group", "")),
		producer.WithInstanceName(c.name),
		producer.WithSendMsgTimeout(10 * time.Second),
	}
	if space := c.get("ns", ""); space != "" {
		opts = append(opts, producer.WithNamespace(space))
	}
	p, err := rocketmq.NewTransactionProducer(t, opts...)
	if err != nil {
		return nil, err
	}
	t.TransactionProducer = p
	return t, p.Start()
}

// set chooses what the server is told from now on when it asks.
func (t *transactor) set(c command) error {
	state, err := state(c.get("answer", "unknown"))
	t.answer.Store(int32(state))
	return err
}

func (t *transactor) send(c command) error {
	local, err := state(c.get("local", ""))
	if err != nil {
		return err
	}
	t.local.Store(int32(local))
	for i := 0; i < c.number("count", 1); i++ {
		key := fmt.Sprintf("%s-%d", c.get("prefix", ""), i)
		m := primitive.NewMessage(c.get("topic", ""), []byte(key+" transaction"))
		m.WithTag(c.get("tags", "A"))
		m.WithKeys([]string{key})
		m.WithProperty("mine", key)
		result, err := t.SendMessageInTransaction(context.Background(), m)
		if err != nil {
			return err
		}
		tell("half by=%s topic=%s queue=%d offset=%d %s tag=%s id=%s tx=%s status=%d", t.name, m.Topic,
			result.MessageQueue.QueueId, result.QueueOffset, body(m.Body), m.GetTags(), result.OffsetMsgID,
			result.TransactionID, result.Status)
	}
	return nil
}

func state(word string) (primitive.LocalTransactionState, error) {
	switch word {
	case "commit":
		return primitive.CommitMessageState, nil
	case "rollback":
		return primitive.RollbackMessageState, nil
	case "unknown":
		return primitive.UnknowState, nil
	}
	return 0, fmt.Errorf("no such state: %s", word)
}
