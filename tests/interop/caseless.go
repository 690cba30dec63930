// A reader that does not tell the cases of keys apart: encoding/json, into structs. For every object
// of every body it makes a struct with a field per key, in lower case, and compares what came in.
// The file given has a line {"body": TEXT} per body.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
)

var objects int

func fail(format string, values ...interface{}) {
	fmt.Printf(format+"\n", values...)
	os.Exit(1)
}

func check(raw json.RawMessage) {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '[' {
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			fail("%v: %s", err, raw)
		}
		for _, item := range items {
			check(item)
		}
		return
	}
	if len(raw) == 0 || raw[0] != '{' {
		return
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		fail("%v: %s", err, raw)
	}
	var names []string
	var fields []reflect.StructField
	for name := range members {
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", len(names)),
			Type: reflect.TypeOf(json.RawMessage{}),
			Tag:  reflect.StructTag(fmt.Sprintf("json:%q", strings.ToLower(name))),
		})
		names = append(names, name)
	}
	into := reflect.New(reflect.StructOf(fields))
	if err := json.Unmarshal(raw, into.Interface()); err != nil {
		fail("%v: %s", err, raw)
	}
	for number, name := range names {
		got := into.Elem().Field(number).Interface().(json.RawMessage)
		want := members[name]
		if string(want) == "null" && len(got) == 0 {
			continue
		}
		if !bytes.Equal(got, want) {
			fail("%q is read as %s: %s", name, got, raw)
		}
	}
	objects++
	for _, member := range members {
		check(member)
	}
}

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		fail("%v", err)
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	bodies := 0
	for lines.Scan() {
		var item struct{ Body string }
		if err := json.Unmarshal(lines.Bytes(), &item); err != nil {
			fail("%v", err)
		}
		check(json.RawMessage(item.Body))
		bodies++
	}
	fmt.Printf("%d bodies, %d objects\n", bodies, objects)
}
