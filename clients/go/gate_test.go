package weir

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"testing"
)

var (
	ddl       = eventKey{100, false}
	syncpoint = eventKey{100, true}
	later     = eventKey{200, false}
)

// A node's gate in one encoding: what it says goes out, what comes is handed over or not.
type gated struct {
	t        *testing.T
	gate     *gate
	encoding Encoding
}

func (g gated) says(kind Kind, message msg) {
	g.t.Helper()
	if err := g.gate.outgoing(kind, readDocument(g.encoding, message.in(g.encoding))); err != nil {
		g.t.Fatal(err)
	}
}

func (g gated) reports(stage enum, key eventKey, lows ...uint64) {
	g.t.Helper()
	g.says(BlockStatus, reportOf(statusOf(stage, key, lows...)...))
}

// The node gets exactly this of what comes; nil: nothing.
func (g gated) gets(kind Kind, comes, want msg) {
	g.t.Helper()
	message, err := g.gate.incoming(Message{Kind: kind, Encoding: g.encoding, Body: comes.in(g.encoding)})
	if err != nil {
		g.t.Fatal(err)
	}
	switch {
	case want == nil && message != nil:
		g.t.Errorf("%s: it gets %s", g.encoding, message.Body)
	case want != nil && message == nil:
		g.t.Errorf("%s: it gets nothing, want %s", g.encoding, want.json())
	case want != nil && !g.same(message.Body, want):
		g.t.Errorf("%s: it gets %q, want %q", g.encoding, message.Body, want.in(g.encoding))
	}
}

func (g gated) same(body []byte, want msg) bool {
	if g.encoding == JSON {
		// The order of members is free.
		return bytes.Equal(sorted(body), sorted(want.json()))
	}
	return bytes.Equal(canonical(body), canonical(want.protobuf()))
}

func inBoth(t *testing.T, what func(gated)) {
	for _, encoding := range []Encoding{JSON, Protobuf} {
		t.Run(string(encoding), func(t *testing.T) { what(gated{t, newGate(true), encoding}) })
	}
}

func TestAnActionOfTheOtherEventOfTheSameCommitTsIsDropped(t *testing.T) {
	inBoth(t, func(g gated) {
		action := func(kind enum, key eventKey, lows ...uint64) msg {
			return responseOf(1, told(toNames(lows...), actionOf(kind, key)))
		}
		// Nothing is known of it: it decides.
		g.gets(HeartBeatResponse, action(write, ddl, 1), action(write, ddl, 1))
		g.reports(waiting, ddl, 1, 2)
		g.gets(HeartBeatResponse, action(write, syncpoint, 1), nil)
		g.gets(HeartBeatResponse, action(write, ddl, 1), action(write, ddl, 1))
		// The trigger is done, and goes on to the syncpoint at the same commitTs. Its DONE may even come after that.
		g.reports(waiting, syncpoint, 1)
		g.reports(done, ddl, 1)
		g.gets(HeartBeatResponse, action(pass, ddl, 1), nil)
		g.gets(HeartBeatResponse, action(pass, ddl, 1, 2), action(pass, ddl, 2))
		g.gets(HeartBeatResponse, action(write, syncpoint, 1), action(write, syncpoint, 1))
		// A WAITING that is repeated, because its ACK was lost, does not bring it back there.
		g.reports(waiting, ddl, 1)
		g.gets(HeartBeatResponse, action(pass, ddl, 1), nil)
		// Done with the DDL, and nobody knows yet whether it is at the syncpoint: SQS has its DONE.
		g.reports(done, ddl, 2)
		g.gets(HeartBeatResponse, action(pass, ddl, 2), nil)
		g.reports(waiting, ddl, 2)
		g.gets(HeartBeatResponse, action(pass, ddl, 2), nil)
		// Another commitTs is told apart by the node.
		g.reports(waiting, later, 1, 2)
		g.gets(HeartBeatResponse, action(pass, ddl, 1, 2), action(pass, ddl, 1, 2))
		g.reports(done, syncpoint, 1)
		g.gets(HeartBeatResponse, action(pass, later, 1, 2), action(pass, later, 1, 2))
	})
}

func TestAnActionForManyReachesThoseWhoWaitForIt(t *testing.T) {
	for name, to := range map[string]msg{"all": toAll(), "schema": toSchema(3)} {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(g gated) {
				wave := responseOf(1, told(to, actionOf(pass, ddl)))
				// Nothing is known of anybody.
				g.gets(HeartBeatResponse, wave, wave)
				g.reports(waiting, ddl, 1, 2, 3)
				g.reports(done, ddl, 1)
				g.gets(HeartBeatResponse, wave, responseOf(1, told(toNames(2, 3), actionOf(pass, ddl))))
				g.gets(HeartBeatResponse, wave, nil)
				g.reports(done, ddl, 2, 3)
				g.gets(HeartBeatResponse, wave, nil)
			})
		})
	}
}

// While the node executes it, a second one would wait behind it, and be heard when the node stands at the next event.
func TestAnActionIsHandedOverOnce(t *testing.T) {
	inBoth(t, func(g gated) {
		action := responseOf(1, told(toNames(1), actionOf(write, ddl)))
		g.reports(waiting, ddl, 1)
		g.gets(HeartBeatResponse, action, action)
		g.gets(HeartBeatResponse, action, nil)
		// It repeats its WAITING as long as it has no ACK: that says nothing of the action.
		g.reports(waiting, ddl, 1)
		g.gets(HeartBeatResponse, action, nil)
		// What could not be dealt with may come again.
		g.gate.returned("another")
		g.gets(HeartBeatResponse, action, nil)
		g.gate.returned("")
		g.gets(HeartBeatResponse, action, action)
		g.reports(done, ddl, 1)
		g.gate.returned("")
		g.gets(HeartBeatResponse, action, nil)
		g.reports(waiting, later, 1)
		next := responseOf(1, told(toNames(1), actionOf(pass, later)))
		g.gets(HeartBeatResponse, next, next)
	})
}

func TestAcksAndOtherEntriesPassWhateverBecomesOfAnAction(t *testing.T) {
	inBoth(t, func(g gated) {
		g.reports(waiting, syncpoint, 1, 2)
		ack := msg{{1, "influencedDispatchers", toNames(1, 2)}, {3, "ack", msg{{2, "IsSyncPoint", true}, {1, "CommitTs", uint64(100)}}}}
		both := append(slices.Clone(ack), member{2, "action", actionOf(pass, ddl)})
		g.gets(HeartBeatResponse, responseOf(1, ack, told(toNames(1), actionOf(pass, ddl))), responseOf(1, ack))
		g.gets(HeartBeatResponse, responseOf(1, both), responseOf(1, ack))
		g.reports(waiting, later, 2)
		g.gets(HeartBeatResponse, responseOf(1, both), responseOf(1, ack, told(toNames(2), actionOf(pass, ddl))))
	})
}

func TestModesAndChangefeedsAreApart(t *testing.T) {
	inBoth(t, func(g gated) {
		g.reports(waiting, syncpoint, 1)
		redo := append(responseOf(1, told(toAll(), actionOf(pass, ddl))), member{3, "mode", uint64(1)})
		g.gets(HeartBeatResponse, redo, redo)
		other := responseOf(1, told(toNames(1), actionOf(pass, ddl)))
		other[0] = member{1, "changefeedID", aFeed(2)}
		g.gets(HeartBeatResponse, other, other)
	})
}

func TestADispatcherThatIsCreatedAgainBeginsAnew(t *testing.T) {
	config := func(operator enum) msg {
		return msg{{1, "changefeedID", aFeed(1)}, {2, "config", msg{{3, "dispatcherID", dispatcher(1)}}}, {3, "scheduleAction", operator}, {5, "maintainerEpoch", uint64(1)}}
	}
	for name, ends := range map[string]func(gated) (epoch uint64){
		"stopped": func(g gated) uint64 {
			g.says(HeartBeat, msg{{1, "changefeedID", aFeed(1)}, {4, "statuses", []msg{{{1, "ID", dispatcher(1)}, {2, "componentStatus", enum{1, "Stopped"}}}}}})
			return 1
		},
		"removed": func(g gated) uint64 {
			g.says(HeartBeat, msg{{1, "changefeedID", aFeed(1)}, {4, "statuses", []msg{{{1, "ID", dispatcher(1)}, {2, "component_status", enum{2, "Removed"}}}}}})
			return 1
		},
		"asked for": func(g gated) uint64 {
			g.gets(ScheduleDispatcher, config(enum{0, "Create"}), config(enum{0, "Create"}))
			return 1
		},
		"a higher epoch": func(g gated) uint64 {
			g.says(Registration, msg{{1, "changefeedID", aFeed(1)}, {7, "maintainerEpoch", uint64(2)}})
			return 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(g gated) {
				at := func(epoch uint64) msg { return responseOf(epoch, told(toNames(1), actionOf(write, ddl))) }
				g.reports(done, ddl, 1)
				g.reports(waiting, ddl, 1)
				g.gets(HeartBeatResponse, at(1), nil)
				epoch := ends(g)
				g.reports(waiting, ddl, 1)
				g.gets(HeartBeatResponse, at(epoch), at(epoch))
			})
		})
	}
}

func TestWhatARegistrationSaysOfItsDispatchersCounts(t *testing.T) {
	inBoth(t, func(g gated) {
		g.says(Registration, msg{{1, "changefeedID", aFeed(1)}, {2, "spans", []msg{{{1, "ID", dispatcher(1)}, {6, "block_state", stateOf(waiting, syncpoint)}}}}})
		g.gets(HeartBeatResponse, responseOf(1, told(toNames(1), actionOf(pass, ddl))), nil)
	})
}

func TestAnEpochThatIsOverIsNotHandedOver(t *testing.T) {
	inBoth(t, func(g gated) {
		at := func(epoch uint64) msg { return responseOf(epoch, told(toNames(1), actionOf(pass, ddl))) }
		schedule := msg{{1, "changefeedID", aFeed(1)}, {2, "config", msg{{3, "dispatcherID", dispatcher(1)}}}, {5, "maintainerEpoch", uint64(2)}}
		g.gets(HeartBeatResponse, at(0), at(0)) // an old node that opened with 0 gets 0
		g.gets(HeartBeatResponse, at(1), at(1))
		g.gets(HeartBeatResponse, at(0), at(0)) // 0 counts as 1
		g.gets(ScheduleDispatcher, schedule, schedule)
		g.gets(HeartBeatResponse, at(1), nil)
		g.says(Opening, msg{{1, "changefeedID", aFeed(1)}, {5, "maintainerEpoch", uint64(3)}})
		g.gets(HeartBeatResponse, at(2), nil)
		g.gets(ScheduleDispatcher, schedule, nil)
		g.gets(HeartBeatResponse, at(3), at(3))
		g.says(Registration, msg{{1, "changefeedID", aFeed(1)}, {7, "maintainerEpoch", uint64(5)}})
		g.gets(HeartBeatResponse, at(3), nil)
	})
}

// An old node (ticdc.md T-A5): it compares the commitTs alone. Whatever is delivered, in whatever order and however
// often, it must not take one event's action for the other's.
func TestAnOldNodeBehindTheGateNeverTakesOneEventForTheOther(t *testing.T) {
	wrong := func(matches bool, seed uint64) (mistakes, steps int) {
		chance := rand.New(rand.NewPCG(seed, 1))
		g := gated{t, newGate(matches), []Encoding{JSON, Protobuf}[seed%2]}
		var sent []msg
		const nodes = 3
		at := [nodes]int{} // 0: before the DDL, 1: waits at it, 2: waits at the syncpoint, 3: past both
		keys := []eventKey{{}, ddl, syncpoint}
		var executing [nodes]bool
		// What waits behind the action that a dispatcher executes (ticdc.md TD18).
		var suspended [nodes][]eventKey
		hear := func(one int, key eventKey) {
			switch {
			case at[one] == 0 || at[one] == 3:
			case executing[one]:
				suspended[one] = append(suspended[one], key)
			default:
				if keys[at[one]] != key {
					mistakes++
				}
				executing[one] = true
			}
		}
		for steps = 0; steps < 300 && slices.Min(at[:]) < 3; steps++ {
			who := chance.IntN(nodes)
			low := uint64(who + 1)
			switch {
			case at[who] == 0:
				at[who] = 1
				g.reports(waiting, ddl, low)
			case executing[who] && chance.IntN(3) == 0:
				executing[who] = false
				key := keys[at[who]]
				at[who]++
				first := chance.IntN(2) == 0
				if first && at[who] == 2 {
					g.reports(waiting, syncpoint, low)
				}
				g.reports(done, key, low)
				if !first && at[who] == 2 {
					g.reports(waiting, syncpoint, low)
				}
				waits := suspended[who]
				suspended[who] = nil
				for _, key := range waits {
					hear(who, key)
				}
			case at[who] < 3 && chance.IntN(3) == 0:
				key := keys[at[who]]
				to := []msg{toAll(), toNames(low), toNames(1, 2, 3), toSchema(3)}[chance.IntN(4)]
				sent = append(sent, responseOf(1, told(to, actionOf([]enum{write, pass}[chance.IntN(2)], key))))
			case at[who] < 3 && chance.IntN(4) == 0:
				g.reports(waiting, keys[1+chance.IntN(at[who])], low) // a repeat, also of what is done
			case len(sent) > 0:
				message, err := g.gate.incoming(Message{Kind: HeartBeatResponse, Encoding: g.encoding, Body: sent[chance.IntN(len(sent))].in(g.encoding)})
				if err != nil {
					t.Fatal(err)
				}
				if message == nil {
					continue
				}
				status := readDocument(g.encoding, message.Body).list(fDispatcherStatuses)[0]
				key := eventKey{status.message(fAction).number(fActionCommitTs), status.message(fAction).flag(fActionSync)}
				for one := range nodes {
					named := status.message(fInfluenced).number(fInfluenceType) != influenceNormal
					for _, other := range status.message(fInfluenced).list(fInfluencedIDs) {
						got, _ := idOf(other)
						named = named || got.low == uint64(one+1)
					}
					if named {
						hear(one, key)
					}
				}
			}
		}
		return mistakes, steps
	}
	without, finished := 0, 0
	for seed := range uint64(400) {
		mistakes, steps := wrong(true, seed)
		if mistakes > 0 {
			t.Errorf("seed %d: %d actions were taken for another event's", seed, mistakes)
		}
		if steps < 300 {
			finished++
		}
		unguarded, _ := wrong(false, seed)
		without += unguarded
	}
	if without == 0 {
		t.Error("without the gate nothing goes wrong here either: this shows nothing")
	}
	if finished < 200 {
		t.Errorf("only %d of 400 ran to the end: the gate holds back what it should not", finished)
	}
}

func FuzzGate(f *testing.F) {
	for _, one := range vectors(f) {
		binary, _ := base64.StdEncoding.DecodeString(one.Protobuf)
		f.Add(binary, []byte(one.JSON), one.Type)
	}
	report := reportOf(statusOf(waiting, syncpoint, 1, 2, 3)...)
	wave := responseOf(1, told(toAll(), actionOf(pass, ddl)), told(toNames(1, 9), actionOf(pass, ddl)))
	f.Add(report.protobuf(), report.json(), string(BlockStatus))
	f.Add(wave.protobuf(), wave.json(), string(HeartBeatResponse))
	f.Fuzz(func(t *testing.T, binary, text []byte, kind string) {
		for encoding, body := range map[Encoding][]byte{Protobuf: binary, JSON: text} {
			g := newGate(true)
			_ = g.outgoing(BlockStatus, readDocument(encoding, reportOf(statusOf(waiting, syncpoint, 1, 2)...).in(encoding)))
			_ = g.outgoing(Kind(kind), readDocument(encoding, body))
			message, err := g.incoming(Message{Kind: Kind(kind), Encoding: encoding, Body: body})
			if err != nil || message == nil {
				continue
			}
			g.returned("")
			again, err := g.incoming(*message)
			if err != nil || again == nil || !bytes.Equal(again.Body, message.Body) {
				t.Errorf("what it let through as %q it does not let through again: %v %v", message.Body, again, err)
			}
		}
	})
}
