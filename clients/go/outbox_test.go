package weir

import (
	"context"
	"errors"
	"testing"
	"time"
)

func put(t *testing.T, box *outbox, parcels ...*parcel) []*delivery {
	t.Helper()
	var all []*delivery
	for _, one := range parcels {
		sent := newDelivery(1)
		one.sent = []*delivery{sent}
		if err := box.put(context.Background(), []*parcel{one}); err != nil {
			t.Fatal(err)
		}
		all = append(all, sent)
	}
	return all
}

// A context that ends, so that a test which waits for nothing fails.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func bodies(parcels []*parcel) string {
	text := ""
	for _, one := range parcels {
		text += one.body
	}
	return text
}

func TestKeepsOrderAndLetsARegistrationGoAlone(t *testing.T) {
	box := newOutbox(100)
	put(t, box, &parcel{kind: BlockStatus, body: "a", size: 1}, &parcel{kind: HeartBeat, body: "b", size: 1},
		&parcel{kind: Registration, body: "c", size: 1}, &parcel{kind: BlockStatus, body: "d", size: 6}, &parcel{kind: BlockStatus, body: "e", size: 6})
	for _, want := range []string{"ab", "c", "d", "e"} {
		if got := bodies(box.next(soon(t), 10, 10)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFoldsWhatWaitsAlready(t *testing.T) {
	box := newOutbox(100)
	one, other := id{1, 1}, id{1, 2}
	sent := put(t, box,
		&parcel{kind: BlockStatus, body: "w"}, &parcel{kind: HeartBeat, body: "1", complete: &one}, &parcel{kind: HeartBeat, body: "2", complete: &other},
		&parcel{kind: HeartBeat, body: "s"}, &parcel{kind: BlockStatus, body: "w"}, &parcel{kind: HeartBeat, body: "s"}, &parcel{kind: HeartBeat, body: "3", complete: &id{1, 1}})
	batch := box.next(soon(t), 10, 100)
	if got := bodies(batch); got != "w2ss3" {
		t.Errorf("%q", got)
	}
	for _, parcel := range batch {
		parcel.settle(nil)
	}
	for index, each := range sent {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if err := each.wait(ctx); err != nil {
			t.Errorf("message %d: %v", index, err)
		}
		cancel()
	}
	// What was taken out is no longer waiting: it is sent again.
	put(t, box, &parcel{kind: BlockStatus, body: "w"})
	if got := bodies(box.next(soon(t), 10, 100)); got != "w" {
		t.Errorf("%q", got)
	}
}

func TestWaitsForRoomAndEndsWithTheContextOrTheClient(t *testing.T) {
	box := newOutbox(1)
	put(t, box, &parcel{kind: BlockStatus, body: "a"})
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan error)
	try := func(ctx context.Context, body string) {
		results <- box.put(ctx, []*parcel{{kind: BlockStatus, body: body, sent: []*delivery{newDelivery(1)}}})
	}
	go try(ctx, "b")
	cancel()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go try(context.Background(), "c")
	if got := bodies(box.next(soon(t), 10, 100)); got != "a" {
		t.Error(got)
	}
	if err := <-results; err != nil {
		t.Error(err)
	}
	go try(context.Background(), "d")
	box.close()
	if err := <-results; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if left := box.abandon(); left != 1 {
		t.Error(left)
	}
}

func TestDelaysGrowAndHaveABound(t *testing.T) {
	for attempt := 1; attempt < 100; attempt++ {
		whole := min(longest, firstDelay<<min(attempt-1, 20))
		if got := delay(attempt); got < whole/2 || got > whole {
			t.Errorf("attempt %d: %v, of %v", attempt, got, whole)
		}
	}
}
