package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// responder answers each request message with its body and ` replied`.
type responder struct {
	rocketmq.PushConsumer
	replies rocketmq.Producer
}

func newResponder(c command) (*responder, error) {
	// Not in the name space: the client would put it before the reply topic, which belongs to none.
	replies, err := rocketmq.NewProducer(
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{c.get("namesrv", "")})),
		producer.WithGroupName(c.get("group", "")+"-replies"),
		producer.WithInstanceName(c.name+"-replies"),
		producer.WithSendMsgTimeout(10*time.Second),
	)
	if err != nil {
		return nil, err
	}
	if err = replies.Start(); err != nil {
		return nil, err
	}
	push, err := rocketmq.NewPushConsumer(options(c, c.get("group", ""))...)
	if err != nil {
		return nil, err
	}
	r := &responder{push, replies}
	err = push.Subscribe(c.get("topic", ""), tags(c),
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range messages {
				tellMessage("requested", c.name, m)
				if m.GetProperty(primitive.PropertyCorrelationID) != "" {
					r.answer(c.name, m)
				}
			}
			return consumer.ConsumeSuccess, nil
		})
	if err != nil {
		return nil, err
	}
	return r, push.Start()
}

func (r *responder) answer(by string, request *primitive.MessageExt) {
	text := append(append([]byte{}, request.Body...), " replied"...)
	reply, err := consumer.CreateReplyMessage(request, text)
	if err == nil {
		// The client leaves it out.
		reply.Body = text
		var result *primitive.SendResult
		if result, err = r.replies.SendSync(context.Background(), reply); err == nil {
			status := map[bool]string{true: "SEND_OK", false: "other"}[result.Status == primitive.SendOK]
			tell("answered by=%s %s status=%s", by, body(request.Body), status)
			return
		}
	}
	tell("unanswered by=%s %s why=%s", by, body(request.Body), oneWord(err.Error()))
}

func (r *responder) Shutdown() error {
	err := r.PushConsumer.Shutdown()
	if other := r.replies.Shutdown(); err == nil {
		err = other
	}
	return err
}

// request sends requests and tells each reply.
func (s *sender) request(c command) error {
	ctx, timeout := context.Background(), time.Duration(c.number("timeout", 60_000))*time.Millisecond
	count := c.number("count", 1)
	failures := make(chan error, count)
	for i := 0; i < count; i++ {
		m := message(c, i)
		if c.get("mode", "") == "sync" {
			reply, err := s.producer.Request(ctx, timeout, m)
			failures <- s.replied(m, reply, err)
			continue
		}
		var once sync.Once
		err := s.producer.RequestAsync(ctx, timeout, func(_ context.Context, reply *primitive.Message, err error) {
			once.Do(func() { failures <- s.replied(m, reply, err) })
		}, m)
		if err != nil {
			return err
		}
	}
	for i := 0; i < count; i++ {
		if err := <-failures; err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) replied(request, reply *primitive.Message, err error) error {
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(string(reply.Body), " ", "_")
	tell("replied by=%s %s reply=%s topic=%s", s.name, body(request.Body), text, reply.Topic)
	return nil
}
