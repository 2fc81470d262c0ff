package otlp

import (
	"context"
	"errors"
	"time"

	logsv1 "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	commonv1 "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logv1 "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	resourcev1 "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func records() signal {
	return signal{
		"logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export", "v1/logs",
		func(m proto.Message) (int64, string) {
			p := m.(*logsv1.ExportLogsServiceResponse).GetPartialSuccess()
			return p.GetRejectedLogRecords(), p.GetErrorMessage()
		},
		func() proto.Message { return new(logsv1.ExportLogsServiceResponse) },
	}
}

// Logs sends log records, once: who calls it has them still when they are not taken. It returns how many of them the
// collector did not want, and why. Wait tells what an error means.
func (c *Client) Logs(ctx context.Context, r *resourcev1.Resource, s *commonv1.InstrumentationScope, all []*logv1.LogRecord) (refused int64, why string, err error) {
	signal := records()
	reply := signal.reply()
	if err := c.once(ctx, signal, &logsv1.ExportLogsServiceRequest{ResourceLogs: []*logv1.ResourceLogs{{
		Resource: r, ScopeLogs: []*logv1.ScopeLogs{{Scope: s, LogRecords: all}},
	}}}, reply); err != nil {
		return 0, "", err
	}
	refused, why = signal.refused(reply)
	return refused, why, nil
}

// Wait returns when a collector wants to be asked again, 0 where it did not say.
func Wait(err error) time.Duration {
	if e, ok := errors.AsType[*later](err); ok {
		return e.after
	}
	return 0
}

// Invalid reports whether a collector does not take what it was sent, whenever it is sent. What it says of who sends is
// not meant.
func Invalid(err error) bool {
	if e, ok := errors.AsType[*answered](err); ok {
		return e.status == 400 || e.status == 413 || e.status == 422
	}
	code := status.Code(err)
	return code == codes.InvalidArgument || code == codes.ResourceExhausted && Wait(err) == 0
}

// answered is a collector's refusal over HTTP.
type answered struct {
	status int
	text   string
}

func (e *answered) Error() string { return e.text }
