package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

func options(c command, group string) []consumer.Option {
	opts := []consumer.Option{
		consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{c.get("namesrv", "")})),
		consumer.WithGroupName(group),
		consumer.WithInstance(c.name),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithMaxReconsumeTimes(int32(c.number("retries", -1))),
	}
	if key := c.get("ak", ""); key != "" {
		opts = append(opts, consumer.WithCredentials(primitive.Credentials{AccessKey: key, SecretKey: c.get("sk", "")}))
	}
	if space := c.get("ns", ""); space != "" {
		opts = append(opts, consumer.WithNamespace(space))
	}
	if config := tracing(c); config != nil {
		opts = append(opts, consumer.WithTrace(config))
	}
	return opts
}

// newReceiver starts a consumer that tells each message as `got`, each refused one as `refused`.
func newReceiver(c command) (client, error) {
	opts := options(c, c.get("group", ""))
	switch kind := c.get("kind", ""); kind {
	case "lite":
		return newPoller(c, opts)
	case "broadcast":
		opts = append(opts, consumer.WithConsumerModel(consumer.BroadCasting))
	case "orderly":
		opts = append(opts, consumer.WithConsumerOrder(true))
	case "concurrent":
	default:
		return nil, fmt.Errorf("no such kind: %s", kind)
	}
	push, err := rocketmq.NewPushConsumer(opts...)
	if err != nil {
		return nil, err
	}
	refusals := int32(c.number("fail", 0))
	err = push.Subscribe(c.get("topic", ""), tags(c),
		func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range messages {
				if m.ReconsumeTimes < refusals {
					tellMessage("refused", c.name, m)
					if concurrent, ok := primitive.GetConcurrentlyCtx(ctx); ok {
						concurrent.DelayLevelWhenNextConsume = c.number("delay", 0)
					}
					return consumer.ConsumeRetryLater, nil
				}
				tellMessage("got", c.name, m)
			}
			return consumer.ConsumeSuccess, nil
		})
	if err != nil {
		return nil, err
	}
	return push, push.Start()
}

func tags(c command) consumer.MessageSelector {
	if sql := c.get("sql", ""); sql != "" {
		return consumer.MessageSelector{Type: consumer.SQL92, Expression: strings.ReplaceAll(sql, "~", " ")}
	}
	return consumer.MessageSelector{Type: consumer.TAG, Expression: c.get("tags", "*")}
}

// poller is a pull consumer whose queues the client assigns.
type poller struct {
	rocketmq.PullConsumer
	stop, stopped chan struct{}
}

func newPoller(c command, opts []consumer.Option) (client, error) {
	pull, err := rocketmq.NewPullConsumer(opts...)
	if err != nil {
		return nil, err
	}
	if err = pull.Subscribe(c.get("topic", ""), tags(c)); err != nil {
		return nil, err
	}
	if err = pull.Start(); err != nil {
		return nil, err
	}
	p := &poller{pull, make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(p.stopped)
		for {
			select {
			case <-p.stop:
				return
			default:
			}
			request, err := pull.Poll(context.Background(), 500*time.Millisecond)
			if err != nil {
				continue
			}
			for _, m := range request.GetMsgList() {
				tellMessage("got", c.name, m)
			}
			pull.ACK(context.Background(), request, consumer.ConsumeSuccess)
		}
	}()
	return p, nil
}

func (p *poller) Shutdown() error {
	close(p.stop)
	<-p.stopped
	return p.PullConsumer.Shutdown()
}

// scan reads every queue from its start to its end.
func scan(c command) error {
	topic := c.get("topic", "")
	tools, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{c.get("namesrv", "")})))
	if err != nil {
		return err
	}
	defer tools.Close()
	queues, err := tools.FetchPublishMessageQueues(context.Background(), topic)
	if err != nil {
		return err
	}
	pull, err := rocketmq.NewPullConsumer(options(c, c.get("group", "scan"))...)
	if err != nil {
		return err
	}
	if err = pull.Subscribe(topic, tags(c)); err != nil {
		return err
	}
	if err = pull.Start(); err != nil {
		return err
	}
	defer pull.Shutdown()
	for _, queue := range queues {
		for offset, end := int64(0), int64(1); offset < end; {
			result, err := pull.PullFrom(context.Background(), queue, offset, 32)
			if err != nil {
				return err
			}
			if result.Status == primitive.PullFound {
				for _, m := range result.GetMessageExts() {
					tellMessage("got", c.name, m)
				}
			}
			if result.NextBeginOffset <= offset {
				break
			}
			offset, end = result.NextBeginOffset, result.MaxOffset
		}
	}
	return nil
}
