module usock

go 1.26

