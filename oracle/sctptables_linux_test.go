package oracle

// sctpTables are the sequences of SCTP.
var sctpTables = []struct {
	name  string
	cases func() []sequence
}{
	{"one", func() []sequence { return oneCases }},
	{"onestates", oneStateCases},
	{"many", func() []sequence { return manyCases }},
	{"manystates", manyStateCases},
	{"options", sctpOptionCases},
	{"values", func() []sequence { return sctpValueCases }},
}
