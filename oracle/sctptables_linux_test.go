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
	{"messages", func() []sequence { return sctpMessageCases }},
	{"events", func() []sequence { return sctpEventCases }},
	{"peeloff", func() []sequence { return sctpPeelCases }},
	{"addresses", func() []sequence { return sctpAddressCases }},
	{"six", sctpSixCases},
	{"extensions", func() []sequence { return sctpExtensionCases }},
}
