module example.net/foreign

go 1.26.0

require usock v0.0.0

replace usock => ../../../..
