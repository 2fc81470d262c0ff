package sign

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// NewClient makes the HTTP client for token endpoints and metadata servers. It honours the proxies of the
// environment, except for metadata servers, which are of this machine; it follows redirects within a host
// only, since another host has no business with what is sent.
func NewClient() *http.Client {
	return &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: sameHost,
		Transport: &http.Transport{
			Proxy:                 proxy,
			DialContext:           (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:     true,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: 8 * time.Second,
			IdleConnTimeout:       30 * time.Second,
			MaxIdleConns:          16,
		},
	}
}

func sameHost(req *http.Request, via []*http.Request) error {
	switch first := via[0]; {
	case len(via) > 3:
		return errors.New("too many redirects")
	case req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme:
		return errors.New("a redirect to another host is not followed")
	}
	return nil
}

// proxy is the environment's, but none for link-local addresses and the names of metadata servers.
func proxy(r *http.Request) (*url.URL, error) {
	host := r.URL.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil && (ip.IsLinkLocalUnicast() || ip.IsLoopback()) || ip == ec2v6 || ip == eksv6 {
		return nil, nil
	}
	if host == "metadata.google.internal" || host == "metadata" {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// The IPv6 addresses of the instance metadata service and of the EKS pod identity agent, which are unique
// local, not link-local.
var (
	ec2v6 = netip.MustParseAddr("fd00:ec2::254")
	eksv6 = netip.MustParseAddr("fd00:ec2::23")
)
