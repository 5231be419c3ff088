package host

import "reflect"

// AddCounters adds the fields of a struct of uint64s, in which one lane has counted, to those of sum.
func AddCounters[T any](sum, lane *T) {
	to, from := reflect.ValueOf(sum).Elem(), reflect.ValueOf(lane).Elem()
	for i := range to.NumField() {
		to.Field(i).SetUint(to.Field(i).Uint() + from.Field(i).Uint())
	}
}
