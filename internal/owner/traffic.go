package owner

// OwnTraffic is the organization of what the gateway sends by itself, such as shadows of requests. No client is of it. What the
// Who of its records says is then on whose behalf it was sent, and no limit of theirs counts it.
const OwnTraffic = "signalbox.own"
