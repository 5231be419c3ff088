package oracle

import "slices"

// tables are all the cases.
var tables = []struct {
	name  string
	cases func() []sequence
}{
	{"socket", socketCases},
	{"bind", bindCases},
	{"bindpairs", bindPairCases},
	{"bindrandom", bindDrawnCases},
	{"scope", scopeCases},
	{"tcp", func() []sequence { return tcpCases }},
	{"tcpstates", tcpStateCases},
	{urgentTable, urgentCases},
	{"tcplisten", func() []sequence { return listenCases }},
	{"tcp6", func() []sequence { return tcp6Cases }},
	{"connect", connectCases},
	{"lengths", lengthCases},
	{"udp", func() []sequence { return udpCases }},
	{"udpplain", udpPlainCases},
	{"udpstates", udpStateCases},
	{"multicast", func() []sequence { return multicastCases }},
	{"sources", sourceCases},
	{"ping", func() []sequence { return pingCases }},
	{"raw", func() []sequence { return rawCases }},
	{"rawuse", rawUseCases},
	{"cmsg", cmsgCases},
	{"options", optionCases},
	{"effects", func() []sequence { return effectCases }},
	{"segments", func() []sequence { return segmentCases }},
	{"filters", filterCases},
	{"stamps", stampCases},
	{"zerocopy", func() []sequence { return zeroCopyCases }},
	{"optionuse", func() []sequence { return optionUseCases }},
	{"privileges", func() []sequence { return slices.Concat(privilegeCases, capabilityCases()) }},
}
