package abi

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// structs are SCTP's structures, with their names and those of their members in linux/sctp.h, in
// the order of their layouts.
var structs = []struct {
	v             Layout
	name, members string
}{
	{&SCTPInitmsg{}, "struct sctp_initmsg", "sinit_num_ostreams sinit_max_instreams sinit_max_attempts sinit_max_init_timeo"},
	{&SCTPSndrcvinfo{}, "struct sctp_sndrcvinfo", "sinfo_stream sinfo_ssn sinfo_flags sinfo_ppid sinfo_context sinfo_timetolive sinfo_tsn sinfo_cumtsn sinfo_assoc_id"},
	{&SCTPSndinfo{}, "struct sctp_sndinfo", "snd_sid snd_flags snd_ppid snd_context snd_assoc_id"},
	{&SCTPRcvinfo{}, "struct sctp_rcvinfo", "rcv_sid rcv_ssn rcv_flags rcv_ppid rcv_tsn rcv_cumtsn rcv_context rcv_assoc_id"},
	{&SCTPNxtinfo{}, "struct sctp_nxtinfo", "nxt_sid nxt_flags nxt_ppid nxt_length nxt_assoc_id"},
	{&SCTPPrinfo{}, "struct sctp_prinfo", "pr_policy pr_value"},
	{&SCTPAuthinfo{}, "struct sctp_authinfo", "auth_keynumber"},
	{&SCTPAssocChange{}, "struct sctp_assoc_change", "sac_type sac_flags sac_length sac_state sac_error sac_outbound_streams sac_inbound_streams sac_assoc_id"},
	{&SCTPPaddrChange{}, "struct sctp_paddr_change", "spc_type spc_flags spc_length spc_aaddr spc_state spc_error spc_assoc_id"},
	{&SCTPRemoteError{}, "struct sctp_remote_error", "sre_type sre_flags sre_length sre_error sre_assoc_id"},
	{&SCTPSendFailed{}, "struct sctp_send_failed", "ssf_type ssf_flags ssf_length ssf_error ssf_info ssf_assoc_id"},
	{&SCTPSendFailedEvent{}, "struct sctp_send_failed_event", "ssf_type ssf_flags ssf_length ssf_error ssfe_info ssf_assoc_id"},
	{&SCTPShutdownEvent{}, "struct sctp_shutdown_event", "sse_type sse_flags sse_length sse_assoc_id"},
	{&SCTPShutdownEvent{}, "struct sctp_sender_dry_event", "sender_dry_type sender_dry_flags sender_dry_length sender_dry_assoc_id"},
	{&SCTPAdaptationEvent{}, "struct sctp_adaptation_event", "sai_type sai_flags sai_length sai_adaptation_ind sai_assoc_id"},
	{&SCTPPdapiEvent{}, "struct sctp_pdapi_event", "pdapi_type pdapi_flags pdapi_length pdapi_indication pdapi_assoc_id pdapi_stream pdapi_seq"},
	{&SCTPAuthkeyEvent{}, "struct sctp_authkey_event", "auth_type auth_flags auth_length auth_keynumber auth_altkeynumber auth_indication auth_assoc_id"},
	{&SCTPStreamResetEvent{}, "struct sctp_stream_reset_event", "strreset_type strreset_flags strreset_length strreset_assoc_id"},
	{&SCTPAssocResetEvent{}, "struct sctp_assoc_reset_event", "assocreset_type assocreset_flags assocreset_length assocreset_assoc_id assocreset_local_tsn assocreset_remote_tsn"},
	{&SCTPStreamChangeEvent{}, "struct sctp_stream_change_event", "strchange_type strchange_flags strchange_length strchange_assoc_id strchange_instrms strchange_outstrms"},
	{&SCTPEventSubscribe{}, "struct sctp_event_subscribe", "sctp_data_io_event sctp_association_event sctp_address_event sctp_send_failure_event sctp_peer_error_event sctp_shutdown_event sctp_partial_delivery_event sctp_adaptation_layer_event sctp_authentication_event sctp_sender_dry_event sctp_stream_reset_event sctp_assoc_reset_event sctp_stream_change_event sctp_send_failure_event_event"},
	{&SCTPRtoinfo{}, "struct sctp_rtoinfo", "srto_assoc_id srto_initial srto_max srto_min"},
	{&SCTPAssocparams{}, "struct sctp_assocparams", "sasoc_assoc_id sasoc_asocmaxrxt sasoc_number_peer_destinations sasoc_peer_rwnd sasoc_local_rwnd sasoc_cookie_life"},
	{&SCTPPrim{}, "struct sctp_setpeerprim", "sspp_assoc_id sspp_addr"},
	{&SCTPPrim{}, "struct sctp_prim", "ssp_assoc_id ssp_addr"},
	{&SCTPSetadaptation{}, "struct sctp_setadaptation", "ssb_adaptation_ind"},
	{&SCTPPaddrparams{}, "struct sctp_paddrparams", "spp_assoc_id spp_address spp_hbinterval spp_pathmaxrxt spp_pathmtu spp_sackdelay spp_flags spp_ipv6_flowlabel spp_dscp"},
	{&SCTPAuthchunk{}, "struct sctp_authchunk", "sauth_chunk"},
	{&SCTPHmacalgo{}, "struct sctp_hmacalgo", "shmac_num_idents"},
	{&SCTPAuthkey{}, "struct sctp_authkey", "sca_assoc_id sca_keynumber sca_keylength"},
	{&SCTPAuthkeyid{}, "struct sctp_authkeyid", "scact_assoc_id scact_keynumber"},
	{&SCTPSackInfo{}, "struct sctp_sack_info", "sack_assoc_id sack_delay sack_freq"},
	{&SCTPAssocValue{}, "struct sctp_assoc_value", "assoc_id assoc_value"},
	{&SCTPStreamValue{}, "struct sctp_stream_value", "assoc_id stream_id stream_value"},
	{&SCTPPaddrinfo{}, "struct sctp_paddrinfo", "spinfo_assoc_id spinfo_address spinfo_state spinfo_cwnd spinfo_srtt spinfo_rto spinfo_mtu"},
	{&SCTPStatus{}, "struct sctp_status", "sstat_assoc_id sstat_state sstat_rwnd sstat_unackdata sstat_penddata sstat_instrms sstat_outstrms sstat_fragmentation_point sstat_primary"},
	{&SCTPAuthchunks{}, "struct sctp_authchunks", "gauth_assoc_id gauth_number_of_chunks"},
	{&SCTPAssocIDs{}, "struct sctp_assoc_ids", "gaids_number_of_ids"},
	{&SCTPGetaddrs{}, "struct sctp_getaddrs", "assoc_id addr_num"},
	{&SCTPAssocStats{}, "struct sctp_assoc_stats", "sas_assoc_id sas_obs_rto_ipaddr sas_maxrto " + countMembers("sas")},
	{&SCTPPeeloff{}, "sctp_peeloff_arg_t", "associd sd"},
	{&SCTPPeeloffFlags{}, "sctp_peeloff_flags_arg_t", "p_arg flags"},
	{&SCTPPaddrthlds{}, "struct sctp_paddrthlds", "spt_assoc_id spt_address spt_pathmaxrxt spt_pathpfthld"},
	{&SCTPPaddrthldsV2{}, "struct sctp_paddrthlds_v2", "spt_assoc_id spt_address spt_pathmaxrxt spt_pathpfthld spt_pathcpthld"},
	{&SCTPPrstatus{}, "struct sctp_prstatus", "sprstat_assoc_id sprstat_sid sprstat_policy sprstat_abandoned_unsent sprstat_abandoned_sent"},
	{&SCTPDefaultPrinfo{}, "struct sctp_default_prinfo", "pr_assoc_id pr_value pr_policy"},
	{&SCTPInfo{}, "struct sctp_info", "sctpi_tag sctpi_state sctpi_rwnd sctpi_unackdata sctpi_penddata sctpi_instrms sctpi_outstrms sctpi_fragmentation_point sctpi_inqueue sctpi_outqueue sctpi_overall_error sctpi_max_burst sctpi_maxseg sctpi_peer_rwnd sctpi_peer_tag sctpi_peer_capable sctpi_peer_sack __reserved1 " + countMembers("sctpi") + " sctpi_p_address sctpi_p_state sctpi_p_cwnd sctpi_p_srtt sctpi_p_rto sctpi_p_hbinterval sctpi_p_pathmaxrxt sctpi_p_sackdelay sctpi_p_sackfreq sctpi_p_ssthresh sctpi_p_partial_bytes_acked sctpi_p_flight_size sctpi_p_error __reserved2 sctpi_s_autoclose sctpi_s_adaptation_ind sctpi_s_pd_point sctpi_s_nodelay sctpi_s_disable_fragments sctpi_s_v4mapped sctpi_s_frag_interleave sctpi_s_type __reserved3"},
	{&SCTPResetStreams{}, "struct sctp_reset_streams", "srs_assoc_id srs_flags srs_number_streams"},
	{&SCTPAddStreams{}, "struct sctp_add_streams", "sas_assoc_id sas_instrms sas_outstrms"},
	{&SCTPEvent{}, "struct sctp_event", "se_assoc_id se_type se_on"},
	{&SCTPUdpencaps{}, "struct sctp_udpencaps", "sue_assoc_id sue_address sue_port"},
	{&SCTPProbeinterval{}, "struct sctp_probeinterval", "spi_assoc_id spi_address spi_interval"},
}

func countMembers(prefix string) string {
	names := strings.Fields("isacks osacks opackets ipackets rtxchunks outofseqtsns idupchunks gapcnt ouodchunks iuodchunks oodchunks iodchunks octrlchunks ictrlchunks")
	for i, n := range names {
		names[i] = prefix + "_" + n
	}
	return strings.Join(names, " ")
}

// members returns where the structure's members begin.
func members(v Layout) []int {
	c := coder{noted: true}
	v.layout(&c)
	return c.starts
}

// compile runs a C program that includes linux/sctp.h and returns what it prints.
func compile(t *testing.T, body string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler to ask for Linux's layouts")
	}
	if _, err := os.Stat("/usr/include/linux/sctp.h"); err != nil {
		t.Skip("no linux/sctp.h: the package linux-libc-dev has it")
	}
	dir := t.TempDir()
	file, program := filepath.Join(dir, "a.c"), filepath.Join(dir, "a")
	text := "#include <stddef.h>\n#include <stdio.h>\n#include <stdint.h>\n#include <sys/socket.h>\n" +
		"#include <linux/sctp.h>\nint main(void) {\n" + body + "return 0; }\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-o", program, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Every structure has the size of C's, and its members lie where C has them.
func TestSCTPLayouts(t *testing.T) {
	var body, want strings.Builder
	for _, s := range structs {
		starts := members(s.v)
		names := strings.Fields(s.members)
		if len(starts) != len(names) {
			t.Fatalf("%s: %d members, C has %d", s.name, len(starts), len(names))
		}
		fmt.Fprintf(&body, "printf(\"%s %%zu\\n\", sizeof(%s));\n", s.name, s.name)
		fmt.Fprintf(&want, "%s %d\n", s.name, Sizeof(s.v))
		for i, n := range names {
			fmt.Fprintf(&body, "printf(\"%s.%s %%zu\\n\", offsetof(%s, %s));\n", s.name, n, s.name, n)
			fmt.Fprintf(&want, "%s.%s %d\n", s.name, n, starts[i])
		}
	}
	got := strings.Split(compile(t, body.String()), "\n")
	for i, line := range strings.Split(want.String(), "\n") {
		if i >= len(got) || got[i] != line {
			t.Errorf("%s, and C has %q", line, got[min(i, len(got)-1)])
		}
	}
}

// beyond are names that Linux 6.1's header does not have: of later kernels, and of usock alone.
var beyond = []string{"SCTP_SS_FC", "SCTP_SS_WFQ", "SCTP_SS_MAX", "SCTP_SS_RR_PKT",
	"SCTP_ACCEPT_ZERO_CHECKSUM", "SCTP_EDMID_NONE", "SCTP_EDMID_LOWER_LAYER_DTLS"}

// Every number of SCTP in the table is that of the header.
func TestSCTPNumbers(t *testing.T) {
	table, err := os.ReadFile("const.txt")
	if err != nil {
		t.Fatal(err)
	}
	var body, want strings.Builder
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 2 || !strings.HasPrefix(f[0], "SCTP_") && !strings.HasPrefix(f[0], "SPP_") || slices.Contains(beyond, f[0]) {
			continue
		}
		fmt.Fprintf(&body, "printf(\"%s %%d\\n\", (int)%s);\n", f[0], f[0])
		var n int
		if _, err := fmt.Sscanf(f[1], "%v", &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		fmt.Fprintf(&want, "%s %d\n", f[0], n)
	}
	if got := compile(t, body.String()); got != want.String() {
		t.Errorf("the table has\n%s\nand C\n%s", want.String(), got)
	}
}

// fill gives every field that is told a value of its own, from n on.
func fill(v reflect.Value, n *int) {
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case !f.CanSet():
		case f.Type() == reflect.TypeFor[Addr]():
			ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(*n)})
			if *n%2 == 0 {
				ip = netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(*n)})
			}
			f.Set(reflect.ValueOf(AddrFrom(netip.AddrPortFrom(ip, uint16(*n)))))
		case f.Kind() == reflect.Struct:
			fill(f, n)
			continue
		case f.CanInt():
			f.SetInt(-int64(*n))
		case f.CanUint():
			f.SetUint(uint64(*n))
		}
		*n++
	}
}

// What is written is read again, and nothing less than all of it is.
func TestSCTPRoundTrip(t *testing.T) {
	for _, s := range structs {
		v := reflect.New(reflect.TypeOf(s.v).Elem())
		n := 1
		if v.Elem().Kind() == reflect.Array {
			for i := range v.Elem().Len() {
				v.Elem().Index(i).SetUint(uint64(i))
			}
		} else {
			fill(v.Elem(), &n)
		}
		b := AppendStruct([]byte("front"), v.Interface().(Layout))[5:]
		got := reflect.New(v.Type().Elem())
		if err := ParseStruct(b, got.Interface().(Layout)); err != nil || !reflect.DeepEqual(got.Interface(), v.Interface()) {
			t.Errorf("%s: %+v became %+v, %v", s.name, v.Elem(), got.Elem(), err)
		}
		if err := ParseStruct(b[:len(b)-1], got.Interface().(Layout)); err != syscall.EINVAL {
			t.Errorf("%s, a byte short: %v", s.name, err)
		}
	}
}

// An address of another family than the Internet's is its family's number.
func TestSCTPForeignAddress(t *testing.T) {
	b := AppendStruct(nil, &SCTPPrim{AssocID: 3, Addr: Addr{Family: AF_UNIX, Path: "/a"}})
	var got SCTPPrim
	if err := ParseStruct(b, &got); err != nil || got != (SCTPPrim{AssocID: 3, Addr: Addr{Family: AF_UNIX}}) {
		t.Errorf("%+v, %v", got, err)
	}
	clear(b)
	if err := ParseStruct(b, &got); err != nil || got.Addr != (Addr{}) {
		t.Errorf("no address: %+v, %v", got, err)
	}
}

// A notification tells the length of all of it.
func TestSCTPNotificationLength(t *testing.T) {
	n := &SCTPAssocChange{SCTPNotification: SCTPNotification{Type: SCTP_ASSOC_CHANGE}, AssocID: 5}
	b := AppendNotification(nil, n, []byte("cause"))
	var head SCTPNotification
	if err := ParseStruct(b, &head); err != nil || int(head.Length) != len(b) || len(b) != 20+5 || head.Type != SCTP_ASSOC_CHANGE {
		t.Errorf("%d bytes: %+v, %v", len(b), head, err)
	}
}
