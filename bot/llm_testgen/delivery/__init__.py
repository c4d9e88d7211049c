"""Delivery to GitHub: what an event asks for, and what is posted for it; pure computation."""
