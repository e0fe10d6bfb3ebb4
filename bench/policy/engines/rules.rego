# Compiled into rules.wasm beside it; bench/policy/README.md says how. The rules themselves are data, loaded once.
package sallyport

# The rules as a list, each tried in turn: how such a rule is written when the policy's author does not think of speed.
list if {
	some rule in data.rules
	rule.principal == input.principal
	rule.method == input.method
	rule.path == input.path
}

# The same rules as an object that is divided by hand: one look-up a level. The fastest that we found.
keyed if data.index[input.principal][input.path][input.method]
