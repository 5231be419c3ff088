package oracle

// onePair is a one-to-one association made through a listener.
const onePair = "l = one; l bind lo:7000; l listen 5; c = one; c connect lo:7000; s = accept l; c connect lo:7000;"

var oneCases = []sequence{
	{name: "connect", lines: onePair + `c get so:error; c connect lo:7000; s send hello; c recv 3 peek; c recv 10; c recv 1; c get sctp:status; c close; s recv 1; s recv 1; s send x`},
}
