// A capture node in Go that passes two barriers, written from docs/capture-nodes.md: a syncpoint over everybody, and a
// TRUNCATE that takes table 100 out and brings table 101 in.
//
//	npx weir local --json > /tmp/weir.json &
//	cd examples/go && go run . /tmp/weir.json
//
// It hosts three dispatchers (the table trigger and a table of two spans) and keeps no data: where a real node flushes and
// writes, this one prints a line.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// What `weir local --json` prints in its first line. A deployed stack has the same as outputs.
type deployment struct {
	Endpoint    struct{ SQS string }
	Region      string
	Credentials struct{ AccessKeyId, SecretAccessKey string }

	StatusQueueUrl    string
	ActionQueuePrefix string
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
	client      *sqs.Client
	deployment  deployment
	name        string
	start       string
	life        string
	queueName   string
	queueURL    string
	dispatchers []*dispatcher
	acked       map[string]bool
	accepted    map[string]bool
	scheduled   []string
}

var changefeed = object{"high": "1", "low": "2", "name": "go-example-" + strconv.FormatInt(time.Now().Unix(), 36), "keyspace": "default"}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run . FILE, where FILE holds what `npx weir local --json` printed")
	}
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
}

func connect(file string) *node {
	text, err := os.ReadFile(file)
	check(err)
	var d deployment
	check(json.Unmarshal(text, &d))
	client := sqs.New(sqs.Options{
		Region:       d.Region,
		BaseEndpoint: aws.String(d.Endpoint.SQS),
		Credentials:  credentials.NewStaticCredentialsProvider(d.Credentials.AccessKeyId, d.Credentials.SecretAccessKey, ""),
	})
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	n := &node{client: client, deployment: d, name: "go-1", start: now, life: now, acked: map[string]bool{}, accepted: map[string]bool{}}
	n.queueName = d.ActionQueuePrefix + "go-" + now
	created, err := client.CreateQueue(context.TODO(), &sqs.CreateQueueInput{QueueName: &n.queueName})
	check(err)
	n.queueURL = *created.QueueUrl
	n.dispatchers = []*dispatcher{
		{id: "1", table: "0"},
		{id: "2", table: "100", end: []byte("m")},
		{id: "3", table: "100", start: []byte("m")},
	}
	return n
}

func (n *node) open() {
	n.send("MaintainerPostBootstrapRequest", object{
		"changefeedID":                  changefeed,
		"tableTriggerEventDispatcherId": object{"low": "1"},
		"schemas": []object{{"SchemaID": "3", "SchemaName": "shop",
			"Tables": []object{{"TableID": "100", "TableName": "orders"}}}},
		"maintainerEpoch": "1",
	}, map[string]string{"replyQueue": n.queueName})
}

func (n *node) register() {
	spans := []object{}
	for _, d := range n.dispatchers {
		spans = append(spans, object{
			"ID": object{"low": d.id}, "SchemaID": "3", "life": n.life, "checkpointTs": "449779372969249700",
			"span": object{"TableID": d.table, "StartKey": d.start, "EndKey": d.end},
		})
	}
	n.send("MaintainerBootstrapResponse",
		object{"changefeedID": changefeed, "maintainerEpoch": "1", "spans": spans},
		map[string]string{"replyQueue": n.queueName})
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
		n.send("BlockStatusRequest", object{"changefeedID": changefeed,
			"blockStatuses": []object{{"dispatcherIDs": ids, "lives": lives, "state": waiting}}}, nil)
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

// Takes what is in the queue. A message is deleted when all that it causes is in the status queue, not before.
func (n *node) receive() {
	got, err := n.client.ReceiveMessage(context.TODO(), &sqs.ReceiveMessageInput{
		QueueUrl: &n.queueURL, WaitTimeSeconds: 5, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
	})
	check(err)
	for _, message := range got.Messages {
		body := []byte(*message.Body)
		switch *message.MessageAttributes["type"].StringValue {
		case "RegistrationResult":
			var result registrationResult
			check(json.Unmarshal(body, &result))
			for _, one := range result.Accepted {
				n.accepted[one.ID.Low] = true
			}
			for _, one := range result.Refused {
				log.Fatal("refused: ", one.Reason)
			}
		case "HeartBeatResponse":
			var r response
			check(json.Unmarshal(body, &r))
			n.obey(r)
		case "ScheduleDispatcherRequest":
			var request scheduleRequest
			check(json.Unmarshal(body, &request))
			action := request.ScheduleAction
			if action == "" {
				action = "Create" // the zero value
			}
			n.scheduled = append(n.scheduled, action+" table "+request.Config.Span.TableID)
		}
		_, err := n.client.DeleteMessage(context.TODO(), &sqs.DeleteMessageInput{QueueUrl: &n.queueURL, ReceiptHandle: message.ReceiptHandle})
		check(err)
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
			n.send("BlockStatusRequest", object{"changefeedID": changefeed, "blockStatuses": []object{{
				"ID": object{"low": d.id}, "life": n.life,
				"state": object{"IsBlocked": true, "BlockTs": status.Action.CommitTs,
					"IsSyncPoint": status.Action.IsSyncPoint, "stage": "DONE", "doneAction": done},
			}}}, nil)
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

func (n *node) send(kind string, body object, more map[string]string) {
	text, err := json.Marshal(body)
	check(err)
	attributes := map[string]types.MessageAttributeValue{}
	for name, value := range map[string]string{"type": kind, "from": n.name, "start": n.start} {
		attributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	for name, value := range more {
		attributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	_, err = n.client.SendMessage(context.TODO(), &sqs.SendMessageInput{
		QueueUrl: &n.deployment.StatusQueueUrl, MessageBody: aws.String(string(text)), MessageAttributes: attributes,
	})
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
