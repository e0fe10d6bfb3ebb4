// Load and application of `npm run bench:dataplane`: lighter than the proxies that stand between them.
module sallyport.dev/tools/loadgen

go 1.26.0

require golang.org/x/net v0.62.0

require golang.org/x/text v0.43.0 // indirect
