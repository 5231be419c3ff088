package shape

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"usock/link"
)

// at says where in the text an error is.
func at(line, column int, err error) error {
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}

// parseMahimahi reads a time in milliseconds on each line.
func parseMahimahi(text []byte) (*Trace, error) {
	var times []time.Duration
	text = bytes.TrimRight(text, " \t\r\n")
	for line := 1; len(text) > 0; line++ {
		var word []byte
		word, text, _ = bytes.Cut(text, []byte("\n"))
		word = bytes.TrimSpace(word)
		n, err := strconv.ParseUint(string(word), 10, 64)
		when := time.Duration(min(n, uint64(link.MaxTracePeriod/time.Millisecond)+1)) * time.Millisecond
		switch {
		case len(word) == 0:
			return nil, at(line, 1, errors.New("nothing is in it, and a time is wanted: milliseconds since the beginning"))
		case err != nil && !errors.Is(err, strconv.ErrRange):
			return nil, at(line, 1, fmt.Errorf("%s is no time: milliseconds since the beginning are wanted, a whole number", quoted(word)))
		case when > link.MaxTracePeriod:
			return nil, at(line, 1, fmt.Errorf("%s ms is more than %v", quoted(word), link.MaxTracePeriod))
		case len(times) > 0 && when < times[len(times)-1]:
			return nil, at(line, 1, fmt.Errorf("%d ms comes before %d ms, the line above; times stay or rise", n, times[len(times)-1].Milliseconds()))
		case len(times) == link.MaxOpportunities:
			return nil, at(line, 1, fmt.Errorf("a trace has up to %d lines", link.MaxOpportunities))
		}
		times = append(times, when)
	}
	t, err := link.NewTrace(times)
	if err != nil {
		return nil, at(max(len(times), 1), 1, err)
	}
	return &Trace{opportunities: t}, nil
}

// quoted is a word of a file in quotes, as much of it as can be read.
func quoted[T string | []byte](word T) string {
	const enough = 40
	if len(word) > enough {
		return fmt.Sprintf("%q...", string(word[:enough]))
	}
	return fmt.Sprintf("%q", string(word))
}

// column is what a name at the head of a column says.
type column struct {
	option string // timeColumn, repeatWord or one of traceOptions
	of     link.Directions
	unit   string // of values that have none
}

const (
	timeColumn = "time"
	repeatWord = "repeat"
)

// traceOptions are the options that have columns, with the units of plain numbers.
var traceOptions = map[string]string{"rate": "bit", "delay": "ms", "jitter": "ms", "loss": shareUnit, "limit": ""}

// shareUnit stands for numbers of which 1 is all.
const shareUnit = "share"

const columnHint = "give time, rate, delay, jitter, loss or limit, with up_ or down_ before it or a unit behind it, as down_rate_mbit"

// parseColumn reads [up_|down_]NAME[_UNIT].
func parseColumn(name string) (column, error) {
	c := column{of: link.BothWays}
	rest := strings.ToLower(strings.TrimSpace(name))
	for prefix, of := range map[string]link.Directions{"up_": link.Sent, "down_": link.Received} {
		if after, ok := strings.CutPrefix(rest, prefix); ok {
			rest, c.of = after, of
		}
	}
	option, unit, _ := strings.Cut(rest, "_")
	plain, known := traceOptions[option]
	switch {
	case option == timeColumn && c.of == link.BothWays:
		plain = "s"
	case option == repeatWord && c.of == link.BothWays && unit == "":
	case !known:
		return c, fmt.Errorf("%s is no column of a trace: %s", quoted(name), columnHint)
	}
	switch c.option, c.unit = option, unit; unit {
	case "":
		c.unit = plain
	case "percent":
		c.unit = "%"
	}
	if option == repeatWord || unit == "" {
		return c, nil
	}
	if _, err := c.value("1"); err != nil {
		return c, fmt.Errorf("%s: %w", quoted(name), err)
	}
	return c, nil
}

// value returns the text of a value as link.Impairment.Set has it, with the column's unit if it has none.
func (c *column) value(text string) (string, error) {
	if v, ok := plainNumber(text); ok {
		switch {
		case c.option == "rate" && v == 0:
			return stopped, nil
		case c.unit == shareUnit && v > 1:
			return "", fmt.Errorf("%s: a share of %g is more than all; 2%% or 0.02 is two in a hundred", c.option, v)
		case c.unit == shareUnit:
			text = strconv.FormatFloat(v*100, 'f', -1, 64) + "%"
		default:
			text = strconv.FormatFloat(v, 'f', -1, 64) + c.unit
		}
	}
	var m link.Impairment
	option := c.option
	if option == timeColumn {
		option = "delay" // a time as well
	}
	if err := m.Set(option, text); err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause
		}
		return "", fmt.Errorf("%s %s: %w", c.option, quoted(text), err)
	}
	return text, nil
}

// plainNumber returns the number that a text is, if it has no unit.
func plainNumber(text string) (float64, bool) {
	if text == "" || strings.IndexByte("0123456789+-.", text[0]) < 0 || strings.ContainsAny(text, "xX_") {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && !math.IsInf(v, 0)
}

// field is a value in the file, and where it is.
type field struct {
	column
	text        string
	line, place int
}

func (f *field) fail(err error) error { return at(f.line, f.place, err) }

// rows makes a trace of what lines, or objects, say.
type rows struct {
	t     Trace
	ended bool // the line that repeats has come
}

// add adds a row of fields, which begins at line and place.
func (r *rows) add(fields []field, line, place int) error {
	fields = slices.DeleteFunc(fields, func(f field) bool { return f.text == "" })
	i := slices.IndexFunc(fields, func(f field) bool { return f.option == timeColumn })
	switch {
	case r.ended:
		return at(line, place, errors.New("the trace has begun again above, and this would never be reached"))
	case i < 0:
		return at(line, place, errors.New("there is no time in it, from which on it holds"))
	case len(r.t.rows) == maxTraceRows:
		return at(line, place, fmt.Errorf("a trace has up to %d of these", maxTraceRows))
	}
	f := fields[i]
	when, err := f.time()
	if err != nil {
		return f.fail(err)
	}
	if n := len(r.t.rows); n > 0 && when <= r.t.rows[n-1].at {
		return f.fail(fmt.Errorf("%v is not after %v, the time before; times rise", when, r.t.rows[n-1].at))
	}
	fields = slices.Delete(fields, i, i+1)
	if len(fields) == 1 && (fields[0].option == repeatWord || strings.EqualFold(fields[0].text, repeatWord)) {
		if len(r.t.rows) == 0 {
			return fields[0].fail(errors.New("there is nothing to be repeated before it"))
		}
		r.ended, r.t.every = true, when
		return nil
	}
	row := traceRow{at: when}
	for _, f := range fields {
		if f.option == repeatWord {
			return f.fail(errors.New("with repeat there is a time and nothing else"))
		}
		text, err := f.value(f.text)
		if err != nil {
			return f.fail(err)
		}
		row.cells = append(row.cells, cell{f.column, text})
	}
	r.t.rows = append(r.t.rows, row)
	return nil
}

// time returns the time that the field is.
func (f *field) time() (time.Duration, error) {
	text, err := f.value(f.text)
	if err != nil {
		return 0, err
	}
	var m link.Impairment
	err = m.Set("delay", text)
	return m.Delay, err
}

// trace returns the whole, which must say something.
func (r *rows) trace() (*Trace, error) {
	if !slices.ContainsFunc(r.t.rows, func(x traceRow) bool { return len(x.cells) > 0 }) {
		return nil, errors.New("it says nothing: no value of a rate, delay or loss is in it")
	}
	return &r.t, nil
}

// another adds a column of a name, which must not say what one before says.
func another(columns []column, name string) ([]column, error) {
	c, err := parseColumn(name)
	if err != nil {
		return nil, err
	}
	for _, d := range columns {
		if c.option == d.option && c.of&d.of != 0 {
			return nil, fmt.Errorf("%s is there twice for one direction", c.option)
		}
	}
	return append(columns, c), nil
}

// parseCSV reads a line of names and lines of values.
func parseCSV(text []byte) (*Trace, error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment, r.TrimLeadingSpace, r.FieldsPerRecord = '#', true, -1
	head, err := r.Read()
	if err == io.EOF {
		return nil, at(1, 1, errors.New("no line names columns"))
	}
	if err != nil {
		return nil, csvError(err)
	}
	var columns []column
	for i, name := range head {
		if columns, err = another(columns, name); err == nil && columns[i].option == repeatWord {
			err = errors.New("repeat is no column: it is the word behind the last time")
		}
		if err != nil {
			line, place := r.FieldPos(i)
			return nil, at(line, place, err)
		}
	}
	if !slices.ContainsFunc(columns, func(c column) bool { return c.option == timeColumn }) {
		line, _ := r.FieldPos(0)
		return nil, at(line, 1, errors.New("no column is time"))
	}
	var out rows
	for {
		record, err := r.Read()
		if err == io.EOF {
			return out.trace()
		}
		if err != nil {
			return nil, csvError(err)
		}
		line, _ := r.FieldPos(0)
		if len(record) > len(columns) {
			_, place := r.FieldPos(len(columns))
			return nil, at(line, place, fmt.Errorf("%d values, and %d columns have names", len(record), len(columns)))
		}
		fields := make([]field, len(record))
		for i, text := range record {
			_, place := r.FieldPos(i)
			fields[i] = field{columns[i], strings.TrimSpace(text), line, place}
		}
		if err := out.add(fields, line, 1); err != nil {
			return nil, err
		}
	}
}

// csvError says where CSV is not CSV.
func csvError(err error) error {
	var e *csv.ParseError
	if errors.As(err, &e) {
		return at(e.Line, e.Column, e.Err)
	}
	return err
}

// jsonText is JSON on the way.
type jsonText struct {
	*json.Decoder
	text  []byte
	start int // where the token begins that was read last
	lines int // that end before seen
	from  int // where the last one of them does
	seen  int
}

// token reads a token.
func (j *jsonText) token() (json.Token, error) {
	j.start = int(j.InputOffset())
	for j.start < len(j.text) && strings.IndexByte(" \t\r\n,:", j.text[j.start]) >= 0 {
		j.start++
	}
	return j.Token()
}

// place returns the line and the column where the last token begins.
func (j *jsonText) place() (line, column int) {
	for ; j.seen < j.start; j.seen++ {
		if j.text[j.seen] == '\n' {
			j.lines, j.from = j.lines+1, j.seen+1
		}
	}
	return j.lines + 1, j.start - j.from + 1
}

func (j *jsonText) fail(err error) error {
	if err == io.EOF {
		err = errors.New("it ends before the array does")
	}
	line, column := j.place()
	return at(line, column, err)
}

// expect reads a delimiter.
func (j *jsonText) expect(d json.Delim, hint string) error {
	t, err := j.token()
	if err == nil && t != d {
		err = errors.New(hint)
	}
	if err != nil {
		return j.fail(err)
	}
	return nil
}

// parseJSON reads an array of objects.
func parseJSON(text []byte) (*Trace, error) {
	j := &jsonText{Decoder: json.NewDecoder(bytes.NewReader(text)), text: text}
	j.UseNumber()
	if err := j.expect('[', `an array of objects is wanted, as [{"time": 0, "rate": "5mbit"}, ...]`); err != nil {
		return nil, err
	}
	var out rows
	for j.More() {
		if err := j.expect('{', `an object is wanted, as {"time": 0, "rate": "5mbit"}`); err != nil {
			return nil, err
		}
		line, place := j.place()
		fields, err := j.fields()
		if err != nil {
			return nil, err
		}
		if err := out.add(fields, line, place); err != nil {
			return nil, err
		}
	}
	if err := j.expect(']', "the array's end is wanted"); err != nil {
		return nil, err
	}
	if _, err := j.token(); err != io.EOF {
		return nil, j.fail(errors.New("something follows the array"))
	}
	return out.trace()
}

// fields reads the rest of an object.
func (j *jsonText) fields() (list []field, err error) {
	var columns []column
	for j.More() {
		name, err := j.token()
		if err != nil {
			return nil, j.fail(err)
		}
		if columns, err = another(columns, name.(string)); err != nil {
			return nil, j.fail(err)
		}
		c := columns[len(columns)-1]
		v, err := j.token()
		if err != nil {
			return nil, j.fail(err)
		}
		f := field{column: c}
		f.line, f.place = j.place()
		switch v := v.(type) {
		case string:
			f.text = v
		case json.Number:
			f.text = v.String()
		case nil:
		case bool:
			if c.option == repeatWord && v {
				f.text = repeatWord
				break
			}
			return nil, j.fail(errors.New("true stands behind repeat alone"))
		default:
			return nil, j.fail(fmt.Errorf("%s: a number or a string is wanted", c.option))
		}
		list = append(list, f)
	}
	return list, j.expect('}', "the object's end is wanted")
}
