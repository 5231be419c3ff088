// Package link is what joins hosts to each other and to the world: [Link] and its
// devices and wrappers.
//
// It may import usock/internal/{relay,buf,wire,offload}. Begin with link.go.
package link
