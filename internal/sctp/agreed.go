package sctp

// Extensions are those that an association can have.
type Extensions struct{ PR, ReConf, IData, ECN, Auth, Asconf, ZeroSum bool }

// Agreed returns the extensions that both ends have told of.
func (a *Assoc) Agreed() Extensions {
	c := a.caps
	return Extensions{
		PR: c&capPR != 0, ReConf: c&capReConf != 0, IData: c&capIData != 0,
		ECN: c&capECN != 0, Auth: c&capAuth != 0, Asconf: c&capAsconf != 0,
		ZeroSum: c&capZeroSum != 0,
	}
}
