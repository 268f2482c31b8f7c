"""Model-predictive control of a dexterous hand with a learned ensemble of dynamics models, over ROS 2."""

__version__ = "0.1.0"
