package main

// runLimits is the part of usock run's help about what it does not do.
const runLimits = `What it does not do. Programs that read /proc/net, /proc/sys/net or /sys/class/net
see the machine's network there and not the run's. Set-user-ID programs gain no
privileges (sudo, and ping where it needs them). 32-bit programs get no Internet
sockets, and one run cannot be started inside another. Round trips and TCP_INFO of a
connection to the outside are those of the link's flags: they end at usock. Linux 5.14
or later is needed; usock version tells what there is.`

// runExamples has each flag of usock run at least once: a test looks.
const runExamples = `  # A download over a bad way to the world, and its packets in a file
  usock run --delay 150ms --loss 2% --pcap trace.pcapng -- curl -o page https://example.com/
  # A mobile network: delays that stray, losses in bursts, a narrow way with a short queue
  usock run --delay 60ms --jitter 20ms --loss gemodel,1%,30% --rate 5mbit --limit 64kb -- ./client
  # ECN marks in place of losses; what is lost, doubled, late or damaged is the same each time
  usock run --rate 20mbit --mark 30kb --reorder 1%,3ms --duplicate 0.1% --corrupt 0.01% --seed 7 -- ./client
  # One server is far away, and for ten seconds its packets are lost; datagrams come late; a program's second connection is dead
  usock run --rule 'to api.test: delay 100ms' --rule 'to api.test from 10s until 20s: loss 30%' -- ./client
  usock run --rule 'udp: delay 200ms' --rule 'process curl connection 2: cut' -- ./test
  # The same from a file, which usock check checks
  usock run --script bad-day.usock -- ./client
  # A modem's queue of seconds, as many have, and the same with a discipline that keeps it short
  usock run --rate 5mbit --queue pfifo --limit 1000 -- ./client
  usock run --rate 5mbit --queue fq_codel -- ./client
  # The downlink of a mobile network as it was measured, in mahimahi's format; the uplink as a table says
  usock run --down-trace lte.down --up-trace lte-up.csv --delay 30ms -- ./client
  # A table of times with rate, delay and loss of both directions
  usock run --trace train.csv -- ./client
  # Only the way to the outside is bad, and carries small packets; the run's own loopback is good
  usock run --on outside --delay 150ms --mtu 1280 -- sh -c './server & ./client'
  # As on a network that people know; the way up is narrower
  usock run --profile slow-3g --up-rate 300kbit -- curl -o page https://example.com/
  # A server, reached at 127.0.0.1:8080 and, for DNS, at port 5353; others reach nothing of the run
  usock run --publish 8080:8000 -p 5353:5300/udp -- ./server
  # Only what is named is reached (which is no sandbox), and a line of JSON says what was; mail is refused at once
  usock run --deny :25 --deny-with reset --allow api.example:443/tcp --log-flows flows.json -- ./build
  # Tests that nothing leaves and nothing disturbs
  usock run --isolated -- ./test
  # A name for a server (but with --isolated it takes a name server on the loopback interface)
  usock run --host db=192.0.2.7 --host db=2001:db8::7 -- ./client db
  # SCTP with a peer outside that takes it in UDP, and peers from outside that send it so
  usock run --sctp-encap 9899 -p 9899/udp -- sctp_darn -H 0 -P 5000 -h 192.0.2.7 -p 5000 -s
  # A server that has its connection, of SCTP's, as its stdin and stdout
  usock run --every-call -p 9899/udp --sctp-encap 9899 -- ./inetd
  # Another inner network; servers of that network outside cannot be reached then
  usock run --addr 10.1.2.0/24 -- ip -4 address
  # How the client does when a connect in ten is refused, and the third connection ends in the midst of an answer
  usock run --fault 'connect refused to :5432 at 10%' --fault 'reset after 1000 bytes received process client at the 3rd' -- ./client
  # The packets as they pass; the program's output goes elsewhere
  usock run --pcap - --stdout /dev/stderr -- curl https://example.com/ | tshark -r -
  # What curl says over TLS, open to Wireshark, and only that; a new file each 100 MB, the last five
  usock run --tls-keys --pcap-for curl --pcap-size 100mb --pcap-files 5 --pcap trace.pcapng -- ./script
  # The beginnings of what goes to a database, a file for each hour
  usock run --pcap-filter 'tcp port 5432' --pcap-snaplen 128 --pcap-every 1h --pcap db.pcapng -- ./server
  # A run with a name, by which another terminal looks at it: usock ss -i web
  usock run --name web --publish 8080:8000 -- ./server
  # Why a download took so long
  usock run --summary -- curl -o page https://example.com/
  # Which calls the program makes that usock does not have
  usock run --verbose -- ./program`

// demoExamples has each flag of usock demo.
const demoExamples = `  # 64 MiB over a link in memory
  usock demo
  # A file over a bad link, which loses the same packets each time; the packets in another file
  usock demo --file page --delay 20ms --jitter 5ms --loss 1% --seed 7 --pcap trace.pcapng
  # A satellite
  usock demo --size 4 --profile satellite-geo
  # What a long queue does to everybody's delay, and what CoDel makes of it
  usock demo --size 4 --delay 10ms --rate 10mbit --queue pfifo
  usock demo --size 4 --delay 10ms --rate 10mbit --queue codel,target,5ms
  # A narrow link that marks, and one that damages, doubles and delays
  usock demo --size 4 --rate 20mbit --limit 100 --mark 30kb --mtu 1500
  # What a network is that changes, and one that fails now and then
  usock demo --size 4 --script bad-day.usock
  usock demo --size 4 --rule 'every 2s for 100ms: cut'
  usock demo --size 4 --fault 'stop reading for 2s after 1mb process beta'
  usock demo --size 4 --trace train.csv
  usock demo --size 4 --down-trace lte.down --up-trace lte.up
  usock demo --size 4 --reorder 1%,3ms --duplicate 0.1% --corrupt 0.01%`

// setExamples has each flag of usock set.
const setExamples = `  # What is done to the only run's packets now
  usock set
  # A run called web gets a longer way, and a narrow one up
  usock set web delay 300ms up-rate 1mbit
  # Another network, without the delay
  usock set web profile slow-3g delay none
  # Only what goes to a database is slow, and not any more what was UDP
  usock set web --rule 'to db:5432: delay 50ms' --no-rule 'udp: delay 200ms'
  # Its connects fail now and then, and its way up is as it was measured
  usock set web --fault 'connect refused to api.test:443 at 10%' up-trace lte.up
  # And not any more
  usock set web --no-fault 'connect refused to api.test:443 at 10%' up-trace none
  # As it was at the start
  usock set --reset web`

// cutExamples are of usock cut.
const cutExamples = `  # The cable is pulled
  usock cut web
  # One server is gone
  usock cut web 'to db:5432'`

// healExamples are of usock heal.
const healExamples = `  # And is there again
  usock heal web`

// checkExamples has each flag of usock check.
const checkExamples = `  # Two scripts, before they are run
  usock check bad-day.usock worse-day.usock`

// psExamples has each flag of usock ps.
const psExamples = `  # What runs, and how fast
  usock ps
  # The same, every second
  usock ps --watch
  # For programs
  usock ps --json`

// ssExamples has each flag of usock ss.
const ssExamples = `  # All connections, with their processes
  usock ss -p
  # What a run called web listens on
  usock ss -tul -n web
  # How its connections to port 443 do, each second
  usock ss -t -i --watch=1s web dport = :443
  # All sockets of IPv6, SCTP, ping and in Go programs
  usock ss -a -6
  usock ss -a -4 -S -w -x
  # For programs
  usock ss --json state established dst 10.0.0.0/8`

// topExamples has each flag of usock top.
const topExamples = `  # What all runs do, as it goes
  usock top
  # The retransmissions of a run called web, on its connections to port 443, every five seconds
  usock top --sort retrans --every 5s web dport = :443
  # With listeners, and those in TIME-WAIT
  usock top -a web
  # Which processes send and receive most
  usock top -p
  # One screen as text, for a report
  usock top --once --width 132 --sort waits web`

// tailExamples has each flag of usock tail.
const tailExamples = `  # What a run called web does
  usock tail web
  # Connects and their like of one process
  usock tail --kind called --pid 4711
  # All that happens to connections with port 443
  usock tail --all web dport = :443
  # For programs
  usock tail --json`

// captureExamples has each flag of usock capture.
const captureExamples = `  # What a run called web sends and receives from now on
  usock capture --write trace.pcapng web
  # As it passes, of one program and of one port
  usock capture --for curl --for :53 | tshark -r -
  # The beginnings of connections
  usock capture --filter 'tcp[tcpflags] & tcp-syn != 0' --snaplen 128 --write syns.pcapng`

// extcapExamples has each flag of usock extcap.
const extcapExamples = `  # Wireshark lists running programs among its interfaces from now on
  usock extcap
  # In another folder than Wireshark's own
  usock extcap --dir /usr/lib/x86_64-linux-gnu/wireshark/extcap`

// profileFromExamples has each flag of usock profile from.
const profileFromExamples = `  # A download, captured where it arrives: the network that it came through, for usock run --trace lte.csv
  usock profile from --direction down --output lte.csv download.pcapng
  # The same in mahimahi's format, of one connection, for usock run --down-trace lte.down
  usock profile from --format mahimahi --direction down --filter 'tcp port 5201' -o lte.down download.pcapng
  # Rates that change fast
  usock profile from --window 20ms download.pcapng`
