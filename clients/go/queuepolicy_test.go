package weir

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

const everybodyReads = `{"Effect":"Allow","Principal":"*","Action":"sqs:ReceiveMessage","Resource":"*"}`

func TestAQueueThatOthersCanUseIsRefused(t *testing.T) {
	beside := strings.Replace(tlsOnly("", "", "q"), `"Statement":[`, `"Statement":[`+everybodyReads+`,`, 1)
	for what, attributes := range map[string]map[string]string{
		"everybody receives":         {"Policy": `{"Statement":[` + everybodyReads + `]}`},
		"beside our statement":       {"Policy": beside},
		"a statement that is one":    {"Policy": `{"Statement":` + everybodyReads + `}`},
		"a policy of no statement":   {"Policy": `{"Statement":7}`},
		"a policy that is none":      {"Policy": `{`},
		"what fails goes elsewhere":  {"RedrivePolicy": `{"maxReceiveCount":1}`},
		"an effect that is not Deny": {"Policy": `{"Statement":{}}`},
	} {
		if _, err := differences(attributes, ""); !errors.Is(err, ErrUnsafeQueue) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAQueueThatIsOnlyWeakerIsUsedAndTold(t *testing.T) {
	policy := tlsOnly("", "", "q")
	arn := "arn:aws:kms:eu-west-1:111111111111:key/k1"
	for what, one := range map[string]struct {
		attributes map[string]string
		key, want  string
	}{
		"as it is created":      {map[string]string{"Policy": policy, "SqsManagedSseEnabled": "true"}, "", ""},
		"with the key":          {map[string]string{"Policy": policy, "KmsMasterKeyId": "k1"}, arn, ""},
		"with the key's ARN":    {map[string]string{"Policy": policy, "KmsMasterKeyId": arn}, "k1", ""},
		"with another key":      {map[string]string{"Policy": policy, "KmsMasterKeyId": "k2"}, arn, "in place of"},
		"not encrypted":         {map[string]string{"Policy": policy, "SqsManagedSseEnabled": "false"}, "", "not encrypted"},
		"without a policy":      {map[string]string{}, "", "without TLS"},
		"with a delay":          {map[string]string{"Policy": policy, "DelaySeconds": "900"}, "", "DelaySeconds is 900"},
		"for a minute":          {map[string]string{"Policy": policy, "MessageRetentionPeriod": "60"}, "", "MessageRetentionPeriod"},
		"for small messages":    {map[string]string{"Policy": policy, "MaximumMessageSize": "1024"}, "", "MaximumMessageSize"},
		"denied some other act": {map[string]string{"Policy": strings.Replace(policy, `"sqs:*"`, `["sqs:SendMessage"]`, 1)}, "", "without TLS"},
	} {
		weaker, err := differences(one.attributes, one.key)
		if got := strings.Join(weaker, "; "); err != nil || (one.want == "") != (got == "") || !strings.Contains(got, one.want) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

func TestAQueueThatIsThereIsLookedAt(t *testing.T) {
	t.Parallel()
	net := networkTo(t)
	n := net.node(func(*Config) {})
	ctx := context.Background()
	name := n.config.ActionQueuePrefix + "open-" + number()
	_, err := n.config.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: aws.String(name), Attributes: map[string]string{"Policy": `{"Statement":[` + everybodyReads + `]}`},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.CreateQueue(ctx, name, QueueOptions{}); !errors.Is(err, ErrUnsafeQueue) {
		t.Error(err)
	}
}

func TestRightsThatAreMissingAreNamed(t *testing.T) {
	t.Parallel()
	net := networkTo(t)
	n := net.node(func(*Config) {})
	ctx := context.Background()
	denies := func(what string, when func(body string) bool) {
		net.breaks(func(action string, w http.ResponseWriter, r *http.Request) bool {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			if action != what || !when(string(body)) {
				return false
			}
			w.Header().Set("X-Amzn-Query-Error", "AccessDenied;Sender")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"__type":"com.amazon.coral.service#AccessDeniedException","message":"no"}`))
			return true
		})
	}
	denies("CreateQueue", func(body string) bool { return strings.Contains(body, "tags") })
	if _, err := n.CreateQueue(ctx, "untagged-"+number(), QueueOptions{Tags: map[string]string{"a": "b"}}); err != nil {
		t.Error(err)
	}
	if len(n.errors) != 1 {
		t.Errorf("%d errors told", len(n.errors))
	}
	denies("GetQueueAttributes", func(string) bool { return true })
	if _, err := n.CreateQueue(ctx, "unseen-"+number(), QueueOptions{}); err == nil || !strings.Contains(err.Error(), "sqs:GetQueueAttributes") {
		t.Error(err)
	}
}
