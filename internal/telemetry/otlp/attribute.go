package otlp

import (
	"strings"

	commonv1 "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcev1 "go.opentelemetry.io/proto/slim/otlp/resource/v1"
)

// Text makes an attribute of a text. What is not UTF-8 is replaced: a collector would refuse all of the request.
func Text(name, value string) *commonv1.KeyValue {
	value = strings.ToValidUTF8(value, "\ufffd")
	return &commonv1.KeyValue{Key: name, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: value}}}
}

// Int makes an attribute of a whole number.
func Int(name string, value int64) *commonv1.KeyValue {
	return &commonv1.KeyValue{Key: name, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_IntValue{IntValue: value}}}
}

// Double makes an attribute of a number.
func Double(name string, value float64) *commonv1.KeyValue {
	return &commonv1.KeyValue{Key: name, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_DoubleValue{DoubleValue: value}}}
}

// Bool makes an attribute of yes or no.
func Bool(name string, value bool) *commonv1.KeyValue {
	return &commonv1.KeyValue{Key: name, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_BoolValue{BoolValue: value}}}
}

// Resource says what sends: attributes by name, in order.
func Resource(attributes ...*commonv1.KeyValue) *resourcev1.Resource {
	return &resourcev1.Resource{Attributes: attributes}
}
