"""The search for better settings of the network: trials on walk-forward validation, and what they found."""
