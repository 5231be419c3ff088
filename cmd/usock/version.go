package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"usock/run"
)

func versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which usock this is, and what it needs",
		Long:    "Version prints the module's version, the revision that it was built from, the Go\nthat has built it, and the kernel that usock run needs. usock --version is the same.",
		Example: "  usock version",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(c.OutOrStdout(), versionText(debug.ReadBuildInfo()))
			return err
		},
	}
}

// versionText is what usock version prints.
func versionText(in *debug.BuildInfo, ok bool) string {
	version, revision := "(unknown)", "not recorded in this build"
	if ok {
		version = in.Main.Version
		revision = revisionOf(in.Settings, revision)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "usock     %s\nrevision  %s\nbuilt     with %s for %s/%s\nneeds     Linux %s or later on amd64 or arm64, for usock run",
		version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH, run.KernelNeeded)
	if here := kernelRelease(); here != "" {
		fmt.Fprintf(&b, " (here: %s)", here)
	}
	b.WriteByte('\n')
	return b.String()
}

// revisionOf finds the revision among the settings of a build; none if it is not there.
func revisionOf(settings []debug.BuildSetting, none string) string {
	found := make(map[string]string)
	for _, s := range settings {
		found[s.Key] = s.Value
	}
	r := found["vcs.revision"]
	if r == "" {
		return none
	}
	if t := found["vcs.time"]; t != "" {
		r += " of " + t
	}
	if found["vcs.modified"] == "true" {
		r += ", with changes"
	}
	return r
}
