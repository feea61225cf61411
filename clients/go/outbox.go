package weir

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// ErrClosed is what a message fails with that comes after Close, or that Close left behind.
var ErrClosed = errors.New("the client is closed")

// One message as it goes to SQS.
type parcel struct {
	kind       Kind
	body       string
	attributes map[string]types.MessageAttributeValue
	size       int
	// Of a complete heartbeat of dispatchers that all work: a later one of the same changefeed says all that it says.
	complete *id
	sent     []*delivery
}

func (p *parcel) settle(err error) {
	for _, one := range p.sent {
		one.settle(err)
	}
}

// What makes two reports the same.
func (p *parcel) content() string { return string(p.kind) + p.body }

// What becomes of an Outgoing, which may be several parcels.
type delivery struct {
	mutex sync.Mutex
	open  int
	err   error
	ended chan struct{}
}

func newDelivery(parcels int) *delivery {
	d := &delivery{open: parcels, ended: make(chan struct{})}
	if parcels == 0 {
		close(d.ended)
	}
	return d
}

func (d *delivery) settle(err error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.err == nil {
		d.err = err
	}
	if d.open--; d.open == 0 {
		close(d.ended)
	}
}

func (d *delivery) wait(ctx context.Context) error {
	select {
	case <-d.ended:
		return d.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// What waits to be sent, in order.
type outbox struct {
	mutex   sync.Mutex
	limit   int
	waiting []*parcel
	// Block statuses among them, by content.
	statuses map[string]*parcel
	closed   bool
	// Closed and replaced whenever something changes.
	changed chan struct{}
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, statuses: map[string]*parcel{}, changed: make(chan struct{})}
}

func (o *outbox) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// Takes parcels that belong together, as soon as there is room for the first.
//
// A report that waits already, word for word, is not taken again: nobody learns more from two, and a node that repeats what
// is not answered would fill an outage with it.
func (o *outbox) put(ctx context.Context, parcels []*parcel) error {
	for {
		o.mutex.Lock()
		if o.closed {
			o.mutex.Unlock()
			return ErrClosed
		}
		if len(o.waiting) < o.limit {
			for _, one := range parcels {
				o.add(one)
			}
			o.wake()
			o.mutex.Unlock()
			return nil
		}
		changed := o.changed
		o.mutex.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (o *outbox) add(one *parcel) {
	switch {
	case one.kind == BlockStatus:
		if same := o.statuses[one.content()]; same != nil {
			same.sent = append(same.sent, one.sent...)
			return
		}
		o.statuses[one.content()] = one
	case one.complete != nil:
		o.waiting = slices.DeleteFunc(o.waiting, func(other *parcel) bool {
			older := other.complete != nil && *other.complete == *one.complete
			if older {
				one.sent = append(one.sent, other.sent...)
			}
			return older
		})
	}
	o.waiting = append(o.waiting, one)
}

// The next ones, as many as one request takes; nil: it is closed and empty, or the context ended. They stay until `done`.
func (o *outbox) next(ctx context.Context, most, bytes int) []*parcel {
	for {
		o.mutex.Lock()
		if len(o.waiting) > 0 {
			var batch []*parcel
			size := 0
			for _, one := range o.waiting {
				// What a report is about has to be there before it: a registration goes alone.
				alone := one.kind == Registration || one.kind == Opening
				if len(batch) == most || len(batch) > 0 && (alone || size+one.size > bytes) {
					break
				}
				batch, size = append(batch, one), size+one.size
				if one.kind == BlockStatus && o.statuses[one.content()] == one {
					delete(o.statuses, one.content())
				}
				if alone {
					break
				}
			}
			clear(o.waiting[:len(batch)])
			o.waiting = o.waiting[len(batch):]
			o.wake()
			o.mutex.Unlock()
			return batch
		}
		closed, changed := o.closed, o.changed
		o.mutex.Unlock()
		if closed {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// What could not be sent waits again, before all others.
func (o *outbox) putBack(parcels []*parcel) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.waiting = append(append(make([]*parcel, 0, len(parcels)+len(o.waiting)), parcels...), o.waiting...)
}

func (o *outbox) close() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.closed = true
	o.wake()
}

// Gives up what is left, and says how much that is.
func (o *outbox) abandon() int {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	left := o.waiting
	o.waiting = nil
	for _, one := range left {
		one.settle(ErrClosed)
	}
	return len(left)
}
