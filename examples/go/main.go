// A capture node in Go that passes two barriers, written from docs/capture-nodes.md: a syncpoint over everybody, and a
// TRUNCATE that takes table 100 out and brings table 101 in.
//
//	npx weir local --json > /tmp/weir.json &
//	cd examples/go && go run . /tmp/weir.json
//
// It hosts three dispatchers (the table trigger and a table of two spans) and keeps no data: where a real node flushes and
// writes, this one prints a line. clients/go carries its messages.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	weir "example.com/weir"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// What `weir local --json` prints in its first line. A deployed stack has the same as outputs.
type deployment struct {
	Endpoint    struct{ SQS string }
	Region      string
	Credentials struct{ AccessKeyId, SecretAccessKey string }

	StatusQueueUrl    string
	ActionQueuePrefix string
	Coordinators      []string
}

type object = map[string]any

// A DDL and a syncpoint may share a commitTs: an event is both.
type key struct {
	commitTs    string
	isSyncPoint bool
}

type dispatcher struct {
	id       string // the low half of the 128-bit id; the high half is zero here
	table    string
	start    []byte
	end      []byte
	waiting  key // the event at which it stands; zero: nowhere
	finished key
}

type node struct {
	client      *weir.Client
	life        string
	queue       weir.Queue
	comes       chan delivery
	dispatchers []*dispatcher
	accepted    map[string]bool
	scheduled   []string
}

// A message, and the channel that says that all which it brings about is in the status queue.
type delivery struct {
	weir.Message
	done chan struct{}
}

// Whatever it waits for, it does not wait for ever.
var ctx, cancel = context.WithTimeout(context.Background(), 2*time.Minute)

var changefeed = object{"high": "1", "low": "2", "name": "go-example-" + strconv.FormatInt(time.Now().Unix(), 36), "keyspace": "default"}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run . FILE, where FILE holds what `npx weir local --json` printed")
	}
	defer cancel()
	n := connect(os.Args[1])
	n.open()
	n.register()

	syncpoint := object{"IsBlocked": true, "BlockTs": "449779372969249750", "IsSyncPoint": true, "BlockTables": object{}}
	n.barrier("syncpoint", syncpoint, n.dispatchers)

	truncate := object{
		"IsBlocked": true, "BlockTs": "449779372969249800",
		"BlockTables":       object{"InfluenceType": "Normal", "TableIDs": []string{"0", "100"}},
		"NeedDroppedTables": object{"InfluenceType": "Normal", "TableIDs": []string{"100"}},
		"NeedAddedTables":   []object{{"TableID": "101", "SchemaID": "3"}},
	}
	n.barrier("TRUNCATE", truncate, n.dispatchers)
	for len(n.scheduled) < 3 {
		n.receive()
	}
	fmt.Println("the coordinator asks for:", n.scheduled)
	check(n.client.DeleteQueue(ctx, n.queue))
	check(n.client.Close(ctx))
}

func connect(file string) *node {
	text, err := os.ReadFile(file)
	check(err)
	var d deployment
	check(json.Unmarshal(text, &d))
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	client, err := weir.New(weir.Config{
		SQS: sqs.New(sqs.Options{
			Region:       d.Region,
			BaseEndpoint: aws.String(d.Endpoint.SQS),
			Credentials:  credentials.NewStaticCredentialsProvider(d.Credentials.AccessKeyId, d.Credentials.SecretAccessKey, ""),
		}),
		StatusQueueURL: d.StatusQueueUrl, ActionQueuePrefix: d.ActionQueuePrefix, Coordinators: d.Coordinators,
		Node: "go-1", Start: now,
		OnError: func(err error) { log.Print(err) },
	})
	check(err)
	n := &node{client: client, life: now, comes: make(chan delivery), accepted: map[string]bool{}}
	n.queue, err = client.CreateQueue(ctx, "go-"+now, weir.QueueOptions{})
	check(err)
	go func() {
		err := client.Receive(ctx, n.queue, func(ctx context.Context, message weir.Message) error {
			one := delivery{message, make(chan struct{})}
			select {
			case n.comes <- one:
				<-one.done
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		// The queue is deleted at the end.
		if !errors.Is(err, weir.ErrQueueGone) {
			check(err)
		}
	}()
	n.dispatchers = []*dispatcher{
		{id: "1", table: "0"},
		{id: "2", table: "100", end: []byte("m")},
		{id: "3", table: "100", start: []byte("m")},
	}
	return n
}

func (n *node) open() {
	n.send(weir.Opening, object{
		"changefeedID":                  changefeed,
		"tableTriggerEventDispatcherId": object{"low": "1"},
		"schemas": []object{{"SchemaID": "3", "SchemaName": "shop",
			"Tables": []object{{"TableID": "100", "TableName": "orders"}}}},
		"maintainerEpoch": "1",
	})
}

func (n *node) register() {
	spans := []object{}
	for _, d := range n.dispatchers {
		spans = append(spans, object{
			"ID": object{"low": d.id}, "SchemaID": "3", "life": n.life, "checkpointTs": "449779372969249700",
			"span": object{"TableID": d.table, "StartKey": d.start, "EndKey": d.end},
		})
	}
	n.send(weir.Registration,
		object{"changefeedID": changefeed, "maintainerEpoch": "1", "spans": spans})
	for len(n.accepted) < len(n.dispatchers) {
		n.receive()
	}
	fmt.Println("registered", len(n.dispatchers), "dispatchers with life", n.life)
}

// Everybody stops at an event: flush, report WAITING, obey, until all are past it.
func (n *node) barrier(what string, state object, all []*dispatcher) {
	commitTs := state["BlockTs"].(string)
	isSyncPoint, _ := state["IsSyncPoint"].(bool)
	ids, lives := []object{}, []string{}
	for _, d := range all {
		// A real node makes everything before the event durable here, before it reports.
		d.waiting = key{commitTs, isSyncPoint}
		ids, lives = append(ids, object{"low": d.id}), append(lives, n.life)
	}
	waiting := object{"stage": "WAITING"}
	for name, value := range state {
		waiting[name] = value
	}
	report := func() {
		n.send(weir.BlockStatus, object{"changefeedID": changefeed,
			"blockStatuses": []object{{"dispatcherIDs": ids, "lives": lives, "state": waiting}}})
		fmt.Println(what, commitTs+":", len(all), "dispatchers wait")
	}
	report()
	repeat := time.Now().Add(5 * time.Second)
	for standing(all) > 0 {
		n.receive()
		if time.Now().After(repeat) {
			report()
			repeat = time.Now().Add(15 * time.Second)
		}
	}
	fmt.Println(what, commitTs+": passed by all")
}

func standing(all []*dispatcher) int {
	count := 0
	for _, d := range all {
		if d.waiting != (key{}) {
			count++
		}
	}
	return count
}

type wireID struct{ High, Low string }
type about struct {
	Action      string
	CommitTs    string
	IsSyncPoint bool
}
type response struct {
	DispatcherStatuses []struct {
		InfluencedDispatchers struct{ DispatcherIDs []wireID }
		Lives                 []string
		Action, Ack           *about
	}
}
type registrationResult struct {
	Accepted []struct{ ID wireID }
	Refused  []struct{ Reason string }
}
type scheduleRequest struct {
	Config struct {
		Span    struct{ TableID string }
		StartTs string
	}
	ScheduleAction string
}

// Takes a message, or waits a while for one. It is deleted when all that it causes is in the status queue, not before.
func (n *node) receive() {
	var message delivery
	select {
	case message = <-n.comes:
	case <-time.After(time.Second):
		return
	case <-ctx.Done():
		log.Fatal("nothing came for too long")
	}
	defer close(message.done)
	switch message.Kind {
	case weir.RegistrationResult:
		var result registrationResult
		check(json.Unmarshal(message.Body, &result))
		for _, one := range result.Accepted {
			n.accepted[one.ID.Low] = true
		}
		for _, one := range result.Refused {
			log.Fatal("refused: ", one.Reason)
		}
	case weir.HeartBeatResponse:
		var r response
		check(json.Unmarshal(message.Body, &r))
		n.obey(r)
	case weir.ScheduleDispatcher:
		var request scheduleRequest
		check(json.Unmarshal(message.Body, &request))
		action := request.ScheduleAction
		if action == "" {
			action = "Create" // the zero value
		}
		n.scheduled = append(n.scheduled, action+" table "+request.Config.Span.TableID)
	}
}

func (n *node) obey(r response) {
	for _, status := range r.DispatcherStatuses {
		for index, id := range status.InfluencedDispatchers.DispatcherIDs {
			d := n.find(id.Low)
			if d == nil || status.Lives[index] != n.life || status.Action == nil {
				continue
			}
			done := "WRITE_DONE" // no action is Write, the zero value
			if status.Action.Action == "Pass" {
				done = "PASS_DONE"
			}
			switch (key{status.Action.CommitTs, status.Action.IsSyncPoint}) {
			case d.waiting:
				fmt.Printf("  dispatcher %s of table %s: %s\n", d.id, d.table, done)
				d.waiting, d.finished = key{}, d.waiting
			case d.finished:
				// Finished before: DONE again, of the kind that came.
			default:
				continue
			}
			n.send(weir.BlockStatus, object{"changefeedID": changefeed, "blockStatuses": []object{{
				"ID": object{"low": d.id}, "life": n.life,
				"state": object{"IsBlocked": true, "BlockTs": status.Action.CommitTs,
					"IsSyncPoint": status.Action.IsSyncPoint, "stage": "DONE", "doneAction": done},
			}}})
		}
	}
}

func (n *node) find(id string) *dispatcher {
	for _, d := range n.dispatchers {
		if d.id == id {
			return d
		}
	}
	return nil
}

// Returns when the message is durable.
func (n *node) send(kind weir.Kind, body object) {
	text, err := json.Marshal(body)
	check(err)
	message := weir.Outgoing{Kind: kind, Body: text}
	if kind == weir.Opening || kind == weir.Registration {
		message.ReplyQueue = n.queue.Name
	}
	check(n.client.Send(ctx, message))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
