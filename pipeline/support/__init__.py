"""Records of support sessions: their model, what is wrong with one, and what it says in words."""
