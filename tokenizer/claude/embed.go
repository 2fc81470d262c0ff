//go:build !noclaude

package claude

import _ "embed"

// The pieces by file and the classes of characters; gen writes them. See data/README.md and data/LICENSE.
var (
	//go:embed data/pieces_v3.bin
	dataV3 []byte
	//go:embed data/pieces_v4_7.bin
	dataV47 []byte
	//go:embed data/classes.bin
	dataClasses []byte
)

// embedded returns the files of this build.
func embedded() (v3, v47, classes []byte) { return dataV3, dataV47, dataClasses }
