complete --keep-order --exclusive --command taptool --arguments "(_TAPTOOL_COMPLETE=fish taptool -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
