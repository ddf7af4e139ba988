"""Journals as earlier versions have written them: later ones must fold them to the same and go on from them."""
