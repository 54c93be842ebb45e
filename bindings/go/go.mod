module trapgate.dev/go/trapgate

go 1.19
