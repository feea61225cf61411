package weir

import (
	"fmt"
	"sync"
)

// An event of a changefeed: a DDL and a syncpoint may share a commitTs, the DDL comes first.
type eventKey struct {
	commitTs    uint64
	isSyncPoint bool
}

func (k eventKey) after(other eventKey) bool {
	if k.commitTs != other.commitTs {
		return k.commitTs > other.commitTs
	}
	return k.isSyncPoint && !other.isSyncPoint
}

// The last event that a dispatcher reported, whether it is done with it, and whether its action was handed over: by the message
// of which id.
type standing struct {
	at    eventKey
	done  bool
	given bool
	by    string
}

func (s standing) waitsFor(key eventKey) bool { return s.at == key && !s.done && !s.given }

type feedState struct {
	// The highest that was seen anywhere, and that of the last registration.
	epoch, registered uint64
	// By mode: redo dispatchers (1) are a world of their own.
	standings map[uint64]map[id]standing
}

// What stands between a node that matches actions by commitTs alone and the coordinator: it sees what the node reports, and
// lets an action through only where it cannot be taken for another event's.
//
// A WAITING that is repeated after its event is done changes nothing, nor does a DONE for an earlier event, which such a node
// sends for any action that it has no use for. So what counts is the highest event that a dispatcher reported; a dispatcher
// that is created again begins anew.
//
// An action is handed over once. While the node executes it, later responses wait behind it (ticdc.md TD18): a second one
// would be heard when the node stands at the next event, and be taken for that.
type gate struct {
	mutex sync.Mutex
	feeds map[id]*feedState
	// False for nodes that match actions by themselves: then only epochs are compared.
	matches bool
}

func newGate(matches bool) *gate { return &gate{matches: matches, feeds: map[id]*feedState{}} }

func (g *gate) feed(d *document) (*feedState, error) {
	key, known := idOf(d.message(fChangefeed))
	if !known && d.err() == nil {
		return nil, fmt.Errorf("changefeedID is missing")
	}
	feed := g.feeds[key]
	if feed == nil {
		feed = &feedState{standings: map[uint64]map[id]standing{}}
		g.feeds[key] = feed
	}
	return feed, d.err()
}

// Zero is what a node without epochs sends and gets: the first epoch.
func (f *feedState) raise(epoch uint64) { f.epoch = max(f.epoch, epoch, 1) }

func (f *feedState) forget(dispatcher id) {
	for _, ofMode := range f.standings {
		delete(ofMode, dispatcher)
	}
}

func (f *feedState) observe(mode uint64, dispatcher id, state *document) {
	if !state.flag(fIsBlocked) {
		return
	}
	key := eventKey{state.number(fBlockTs), state.flag(fStateSync)}
	done := state.number(fStage) == stageDone
	// A registration says that it executes its action.
	executes := state.number(fStage) == stageWriting
	if f.standings[mode] == nil {
		f.standings[mode] = map[id]standing{}
	}
	known, had := f.standings[mode][dispatcher]
	switch {
	case !had || key.after(known.at):
		f.standings[mode][dispatcher] = standing{at: key, done: done, given: executes}
	case key == known.at && done:
		f.standings[mode][dispatcher] = standing{at: key, done: true}
	}
}

func (g *gate) forgetChangefeed(key id) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	delete(g.feeds, key)
}

// Takes note of what a node is about to send.
func (g *gate) outgoing(kind Kind, d *document) error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	feed, err := g.feed(d)
	if err != nil {
		return err
	}
	switch kind {
	case Opening:
		feed.raise(d.number(fOpeningEpoch))
	case Registration:
		epoch := max(d.number(fRegistrationEpoch), 1)
		feed.raise(epoch)
		if epoch > feed.registered {
			// A changefeed that starts over: what its dispatchers stand at is said here.
			feed.registered, feed.standings = epoch, map[uint64]map[id]standing{}
		}
		for _, span := range d.list(fSpans) {
			dispatcher, known := idOf(span.message(fSpanID))
			if state := span.message(fBlockState); g.matches && known && state != nil {
				feed.observe(span.number(fSpanMode), dispatcher, state)
			}
		}
	case BlockStatus:
		if !g.matches {
			break
		}
		mode := d.number(fRequestMode)
		for _, status := range d.list(fBlockStatuses) {
			state := status.message(fStatusState)
			if state == nil {
				continue
			}
			for _, one := range append(status.list(fStatusIDs), status.message(fStatusID)) {
				if dispatcher, known := idOf(one); known {
					feed.observe(mode, dispatcher, state)
				}
			}
		}
	case HeartBeat:
		for _, status := range d.list(fStatuses) {
			state := status.number(fComponentState)
			if dispatcher, known := idOf(status.message(fSpanStatusID)); known && (state == stateStopped || state == stateRemoved) {
				feed.forget(dispatcher)
			}
		}
	}
	return d.err()
}

// What the node gets of a message; nil: nothing, and it is to be deleted.
func (g *gate) incoming(message Message) (*Message, error) {
	d := readDocument(message.Encoding, message.Body)
	var epoch field
	switch message.Kind {
	case HeartBeatResponse:
		epoch = fResponseEpoch
	case ScheduleDispatcher:
		epoch = fScheduleEpoch
	default:
		// A RegistrationResult names no changefeed: who registered knows which epoch it waits for. Others are not known here.
		return &message, nil
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	feed, err := g.feed(d)
	if err != nil {
		return nil, err
	}
	at := d.number(epoch)
	if d.err() == nil && max(at, 1) < feed.epoch {
		return nil, nil
	}
	feed.raise(at)
	switch {
	case message.Kind == ScheduleDispatcher:
		if config := d.message(fConfig); config != nil {
			// Whoever is created under this id later has reported nothing yet.
			if dispatcher, known := idOf(config.message(fConfigID)); known {
				feed.forget(dispatcher)
			}
		}
	case g.matches:
		if changed := feed.matching(d, message.ID); changed != nil {
			if len(changed.list(fDispatcherStatuses)) == 0 {
				return nil, d.err()
			}
			message.Body = changed.body()
		}
	}
	return &message, d.err()
}

// A response without the actions that would be taken for another event's; nil: all of it may pass as it is.
func (f *feedState) matching(d *document, id string) *document {
	standings := f.standings[d.number(fResponseMode)]
	var kept []*document
	changed := false
	for _, status := range d.list(fDispatcherStatuses) {
		action, influenced := status.message(fAction), status.message(fInfluenced)
		if action == nil || influenced == nil {
			kept = append(kept, status)
			continue
		}
		key := eventKey{action.number(fActionCommitTs), action.flag(fActionSync)}
		wanted, narrowed := targets(standings, influenced, key)
		if named := influenced; !narrowed || wanted != nil {
			if narrowed {
				named = wanted
			}
			given(standings, named, key, id)
		}
		if !narrowed {
			kept = append(kept, status)
			continue
		}
		changed = true
		if status.message(fAck) != nil || status.message(fIgnored) != nil {
			kept = append(kept, status.with(fAction, false))
		}
		if wanted != nil {
			kept = append(kept, status.with(fAck, false).with(fIgnored, false).with(fInfluenced, false, wanted))
		}
	}
	if !changed {
		return nil
	}
	return d.with(fDispatcherStatuses, true, kept...)
}

// Whom an action is for, if not for all that it names (then narrowed is true; nil: for nobody).
func targets(standings map[id]standing, influenced *document, key eventKey) (wanted *document, narrowed bool) {
	// Another commitTs is told apart by the node itself.
	takes := func(dispatcher id) bool {
		at, known := standings[dispatcher]
		return !known || at.at.commitTs != key.commitTs || at.waitsFor(key)
	}
	if influenced.number(fInfluenceType) == influenceNormal {
		all := influenced.list(fInfluencedIDs)
		var some []*document
		for _, one := range all {
			if dispatcher, _ := idOf(one); takes(dispatcher) {
				some = append(some, one)
			}
		}
		switch len(some) {
		case len(all):
			return nil, false
		case 0:
			return nil, true
		}
		return influenced.with(fInfluencedIDs, true, some...), true
	}
	var waiting []id
	for dispatcher, at := range standings {
		if !takes(dispatcher) {
			narrowed = true
		} else if at.waitsFor(key) {
			waiting = append(waiting, dispatcher)
		}
	}
	if len(waiting) == 0 {
		return nil, narrowed
	}
	// By schema, or to all of the node: those who wait for it get it by name, so that it is known whom it was handed to.
	return normal(influenced, waiting), true
}

// Takes note of those whom an action is handed to.
func given(standings map[id]standing, influenced *document, key eventKey, by string) {
	for _, one := range influenced.list(fInfluencedIDs) {
		dispatcher, _ := idOf(one)
		if at, known := standings[dispatcher]; known && at.waitsFor(key) {
			standings[dispatcher] = standing{at: key, given: true, by: by}
		}
	}
}

// A message that was handed over and could not be dealt with: what it brings may come again.
func (g *gate) returned(by string) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	for _, feed := range g.feeds {
		for _, ofMode := range feed.standings {
			for dispatcher, at := range ofMode {
				if at.given && at.by == by {
					ofMode[dispatcher] = standing{at: at.at, done: at.done}
				}
			}
		}
	}
}
