package edge

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// PassOn has the node whose API is at addr answer a request, for the same caller.
func (e *Edge) PassOn(w http.ResponseWriter, r *http.Request, addr string) {
	scheme := "http"
	if e.cfg.TLS != nil {
		scheme = "https"
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: scheme, Host: addr})
			p.Out.Header.Set(api.HopHeader, "1")
			tell(p.Out.Header, CallerOf(p.In))
			if own, _ := e.cfg.Peer.Authorization(addr); own != "" { // a node has its secret
				p.Out.Header.Set("Authorization", own)
			}
		},
		Transport:     e.cfg.Peer.Transport(),
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(e.cfg.Log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			e.fail(w, &plan.Error{Kind: plan.KindUnavailable, Op: "reach", Subject: addr, Text: err.Error()})
		},
	}
	proxy.ServeHTTP(w, r)
}
